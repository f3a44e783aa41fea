"""The lab: its servers as processes of this machine, and the embedded GitLab stand-in."""
