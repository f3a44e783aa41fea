"""What jobs report: JUnit results, dotenv variables, and a coverage figure in the log."""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from infra.lab.gitlab.web.ansi import strip

REPORT_LIMIT_BYTES = 10 * 1024 * 1024
DOTENV_LIMIT_BYTES = 5 * 1024  # GitLab's plan limit dotenv_size
DOTENV_LIMIT_VARIABLES = 20  # GitLab's plan limit dotenv_variables of the free tier
_COVERAGE_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_KEY = re.compile(r"[A-Za-z0-9_]+")
_COVERAGE_WINDOW = 2 * 1024 * 1024


class ReportError(Exception):
    """A report that cannot be read; the text is for the user."""


def unpacked(path: Path, limit: int = REPORT_LIMIT_BYTES) -> bytes:
    """The content of a gzip (or plain) report. Raises ReportError when it is broken or larger than `limit` bytes."""
    raw = path.open("rb")
    with raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            content = (gzip.GzipFile(fileobj=raw) if packed else raw).read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ReportError(f"the report is not readable: {error}") from error
    if len(content) > limit:
        raise ReportError(f"the report is larger than {limit} bytes")
    return content


@dataclass(frozen=True, kw_only=True)
class TestCase:
    """One test of a JUnit report; times in seconds."""

    __test__ = False

    status: str
    name: str
    classname: str
    file: str | None
    execution_time: float
    system_output: str | None


def junit(content: bytes) -> tuple[TestCase, ...]:
    """The test cases of a JUnit XML document.

    Raises ReportError for broken XML and for a document type (entities could blow up).
    """
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ReportError("JUnit XML parsing failed: a document type is not allowed")
    try:
        root = ElementTree.parse(io.BytesIO(content)).getroot()  # noqa: S314 - no document type, so no entities
    except (ElementTree.ParseError, expat.ExpatError, ValueError) as error:
        raise ReportError(f"JUnit XML parsing failed: {error}") from error
    return tuple(_case(element) for element in root.iter("testcase"))


def _case(element: ElementTree.Element) -> TestCase:
    status, output = "success", None
    for tag, found in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        child = element.find(tag)
        if child is not None:
            status = found
            output = child.text or child.get("message")
            break
    return TestCase(
        status=status,
        name=element.get("name") or "",
        classname=element.get("classname") or "",
        file=element.get("file"),
        execution_time=_seconds(element.get("time")),
        system_output=output,
    )


def _seconds(text: str | None) -> float:
    try:
        value = float((text or "0").replace(",", ""))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def dotenv(content: bytes) -> tuple[tuple[str, str], ...]:
    """The variables of a dotenv report, by GitLab's rules: KEY=value lines, no quoting, no comments, no blank lines.

    Raises ReportError for what GitLab refuses (docs: ci/yaml/artifacts_reports/#artifactsreportsdotenv).
    """
    if len(content) > DOTENV_LIMIT_BYTES:
        raise ReportError(f"Dotenv Artifact Too Big. Maximum Allowable Size: {DOTENV_LIMIT_BYTES}")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ReportError("Invalid Format") from error
    variables: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        key, separator, value = line.partition("=")
        key = key.strip()
        if not separator or not _KEY.fullmatch(key):
            raise ReportError("Invalid Format")
        variables[key] = value.strip()
    if len(variables) > DOTENV_LIMIT_VARIABLES:
        raise ReportError(f"Dotenv files cannot have more than {DOTENV_LIMIT_VARIABLES} variables")
    return tuple(variables.items())


def coverage(log: bytes, pattern: str) -> float | None:
    """The percentage that `pattern` (GitLab's `/regex/`) finds last in the log, or None.

    Only the end of a long log is read. The first number inside the last match counts, as in GitLab.
    """
    body = pattern.strip()
    if body.startswith("/") and body.rfind("/") > 0:
        body = body[1 : body.rfind("/")]
    try:
        expression = re.compile(body)
    except re.error:
        return None
    for line in reversed(strip(log[-_COVERAGE_WINDOW:].decode(errors="replace")).splitlines()):
        matches = list(expression.finditer(line))
        if not matches:
            continue
        last = matches[-1]
        text = next((group for group in last.groups() if group), last.group(0))
        number = _COVERAGE_NUMBER.search(text)
        if number:
            return float(number.group(0))
    return None
