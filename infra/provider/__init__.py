"""The Pulumi provider `forgeline`: one declaration a kind, from which schema and typed classes follow."""
