"""`artifacts` and `cache`: what a job leaves for later jobs and later pipelines."""

from __future__ import annotations

from pipelines.language.entry import Entry
from pipelines.language.model import Artifacts, Cache, Report

WHEN = ("on_success", "on_failure", "always")
CACHE_LIMIT = 4
KEY_FILE_LIMIT = 2

_ARTIFACT_KEYS = (
    "name",
    "untracked",
    "paths",
    "reports",
    "when",
    "expire_in",
    "expose_as",
    "exclude",
    "public",
    "access",
)
_CACHE_KEYS = ("key", "untracked", "paths", "when", "policy", "unprotect", "fallback_keys")
_REPORTS = (
    "junit",
    "dotenv",
    "coverage_report",
    "codequality",
    "sast",
    "secret_detection",
    "dependency_scanning",
    "container_scanning",
    "cluster_image_scanning",
    "dast",
    "license_scanning",
    "performance",
    "browser_performance",
    "load_performance",
    "metrics",
    "lsif",
    "terraform",
    "accessibility",
    "coverage_fuzzing",
    "api_fuzzing",
    "cyclonedx",
    "annotations",
    "requirements",
    "requirements_v2",
    "repository_xray",
)
_POLICIES = ("pull-push", "push", "pull")


def read_artifacts(entry: Entry) -> Artifacts | None:
    """`artifacts`; None without."""
    if not entry.given or not entry.is_mapping(_ARTIFACT_KEYS):
        return None
    if entry.get("public").given and entry.get("access").given:
        entry.problem("these keys cannot be used together: public, access")
    access = _attribute(entry, "access").choice(
        ("none", "developer", "all", "maintainer"), "all", "access should be one of: none, developer, all, maintainer"
    )
    if entry.get("public").given and not entry.get("public").boolean(True):
        access = "developer"
    expire_in = entry.value.get("expire_in")
    if expire_in is not None and expire_in != "never":
        _attribute(entry, "expire_in").seconds("expire in")
    expose_as = _attribute(entry, "expose_as").string("expose as")
    paths = _attribute(entry, "paths").strings("paths")
    if expose_as is not None and not paths:
        entry.problem("paths can't be blank when using 'expose_as'")
    return Artifacts(
        paths=paths,
        exclude=_attribute(entry, "exclude").strings("exclude"),
        untracked=entry.get("untracked").boolean(),
        when=_attribute(entry, "when").choice(
            WHEN, "on_success", "when should be one of: on_success, on_failure, always"
        ),
        expire_in=None if expire_in is None else str(expire_in),
        name=_attribute(entry, "name").string("name"),
        reports=_reports(entry.get("reports")),
        expose_as=expose_as,
        access=access,
    )


def _attribute(entry: Entry, key: str) -> Entry:
    """A value whose problems GitLab shows at the mapping that holds it."""
    return Entry(entry.where, entry.value.get(key), entry.problems)


def _reports(entry: Entry) -> tuple[Report, ...]:
    if not entry.given or not entry.is_mapping(_REPORTS):
        return ()
    reports = []
    for kind in entry.value:
        item = entry.get(kind)
        if kind not in _REPORTS or not item.given:
            continue
        reports.append(
            _coverage_report(item)
            if kind == "coverage_report"
            else Report(kind=kind, paths=_attribute(entry, kind).strings(kind, single=True))
        )
    return tuple(reports)


def _coverage_report(entry: Entry) -> Report:
    if not entry.is_mapping(("coverage_format", "path")):
        return Report(kind="coverage_report", paths=())
    form = _attribute(entry, "coverage_format").choice(
        ("cobertura", "jacoco"), "", "coverage format must be one of supported formats: cobertura, jacoco."
    )
    if not entry.get("coverage_format").given:
        entry.problem("coverage format can't be blank")
    path = _attribute(entry, "path").string("path")
    if not path:
        entry.problem("path can't be blank")
    return Report(kind="coverage_report", paths=(path,) if path else (), format=form)


def read_caches(entry: Entry) -> tuple[Cache, ...]:
    """`cache`: one or up to four."""
    if not entry.given:
        return ()
    if isinstance(entry.value, list) and len(entry.value) > CACHE_LIMIT:
        Entry("caches", None, entry.problems).problem(f"config no more than {CACHE_LIMIT} caches can be created")
    return tuple(cache for cache in entry.each(_read_cache) if cache is not None)


def _read_cache(entry: Entry) -> Cache | None:
    if not entry.is_mapping(_CACHE_KEYS) or not entry.value:
        return None
    key, files, prefix = _key(entry.get("key"))
    policy = entry.value.get("policy")
    has_variable = isinstance(policy, str) and "$" in policy
    return Cache(
        key=key,
        key_files=files,
        key_prefix=prefix,
        paths=entry.get("paths").strings(),
        untracked=entry.get("untracked").boolean(),
        policy=policy
        if isinstance(policy, str) and has_variable
        else _attribute(entry, "policy").choice(
            _POLICIES, "pull-push", "policy should be a variable or one of: pull-push, push, pull"
        ),
        when=_attribute(entry, "when").choice(
            WHEN, "on_success", "when should be one of: on_success, on_failure, always"
        ),
        fallback_keys=_attribute(entry, "fallback_keys").strings("fallback keys"),
        unprotect=entry.get("unprotect").boolean(),
    )


def _key(entry: Entry) -> tuple[str, tuple[str, ...], str]:
    if not entry.given:
        return "default", (), ""
    if isinstance(entry.value, dict):
        if not entry.is_mapping(("files", "prefix"), refused=("files_commits",)):
            return "default", (), ""
        files = entry.get("files")
        if not files.given:
            entry.problem("config missing required keys: files")
        elif isinstance(files.value, list) and len(files.value) > KEY_FILE_LIMIT:
            files.problem(f"config has too many items (maximum is {KEY_FILE_LIMIT})")
        return "default", files.strings(), entry.get("prefix").string() or ""
    if not isinstance(entry.value, str):
        entry.problem("config should be a hash, a string or a symbol")
        return "default", (), ""
    plain = entry.value.replace("%2F", "/").replace("%2f", "/").replace("%2E", ".").replace("%2e", ".")
    if "/" in plain:
        entry.problem('config cannot contain the "/" character')
    elif plain in (".", ".."):
        entry.problem('config cannot be "." or ".."')
    return entry.value, (), ""
