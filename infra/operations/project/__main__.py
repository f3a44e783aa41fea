"""The program of Pulumi.yaml, for people with the whole Pulumi command line."""

from infra.operations.plain_program import main

main()
