"""Day-2 work: doctor, bring-up, status, verify, deploy. Composes programs and clients; prints nothing."""
