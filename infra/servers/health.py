"""What a container's engine asks from time to time: cheap, from inside, and with nothing but bash and grep.

It is for people and their tools (`docker ps`, monitoring). Whether a server is ready is proven by real use.
"""

from __future__ import annotations

_ANSWERS = (
    'exec 3<>"/dev/tcp/$0/$1" || exit 1; printf "GET %s HTTP/1.0\\r\\nHost: %s:%s\\r\\n\\r\\n" "$2" "$0" "$1" >&3;'
    ' read -r _ code _ <&3; [ "$code" = 200 ] || { echo "$2 answers ${code:-nothing}"; exit 1; }'
)
_LISTENS = 'exec 3<>"/dev/tcp/$0/$1"'


def answers(address: str, port: int, path: str) -> tuple[str, ...]:
    """Fails unless `http://ADDRESS:PORT/PATH` answers 200."""
    return ("bash", "-c", _ANSWERS, address, str(port), path)


def listens(address: str, port: int) -> tuple[str, ...]:
    """Fails unless something listens there: for what speaks TLS, of which bash knows nothing."""
    return ("bash", "-c", _LISTENS, address, str(port))


def runs(program: str) -> tuple[str, ...]:
    """Fails unless a program of this name runs (proc(5), /proc/PID/comm: at most 15 characters)."""
    return ("sh", "-c", 'grep -qsx "$0" /proc/[0-9]*/comm', program[:15])
