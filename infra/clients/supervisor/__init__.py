"""The lab's supervisor: it keeps the servers and the deployed services running after the command has ended."""

from infra.clients.supervisor.client import Program, State, Supervisor

__all__ = ["Program", "State", "Supervisor"]
