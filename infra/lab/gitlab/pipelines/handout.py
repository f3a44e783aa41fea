"""Handing a job to a runner: the first of the pending ones that it may take, with all that its payload needs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity, project_role
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.oidc import JobIdentity
from infra.lab.gitlab.pipelines.completion import finish
from infra.lab.gitlab.pipelines.context import job_context
from infra.lab.gitlab.pipelines.dependency import (
    MissingDependencyError,
    archives,
    dependencies_of,
    dotenv_variables,
)
from infra.lab.gitlab.pipelines.deployment import begin_deployment
from infra.lab.gitlab.pipelines.failure import FailureReason
from infra.lab.gitlab.pipelines.payload import Handout, payload, with_credentials
from infra.lab.gitlab.pipelines.predefined import running_variables
from infra.lab.gitlab.pipelines.queue import candidates, take
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.transition import settle
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.environment import Environment
from infra.lab.gitlab.store.job import Job, latest_jobs
from infra.lab.gitlab.store.runner import Runner, RunnerManager
from pipelines.language.error import ConfigError
from pipelines.language.model import JobSpec, Status, Variable
from pipelines.language.variable import expand, job_variables, mapping

_TOKEN_GRACE_SECONDS = 300
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The outcome of a runner's request. `lost`: another runner was faster."""

    body: dict[str, Any] | None = None
    lost: bool = False


def hand_out(instance: Instance, runner_id: int, manager_id: int) -> Taken:
    """Gives the runner a job, if there is one for it."""
    with instance.store.read() as session:
        runner = session.get(Runner, runner_id)
        waiting = [] if runner is None else [job.id for job in candidates(session, runner)]
    lost = False
    for position, job_id in enumerate(waiting):
        with CiService.of(instance).claims.claim(job_id) as free:
            taken = free and _waits(instance, job_id) and _take(instance, job_id, runner_id, manager_id)
        if not taken:
            lost = True
            continue
        body = _body(instance, job_id, len(waiting) - position - 1)
        if body is not None:
            return Taken(body=body)
    return Taken(lost=lost)


def _waits(instance: Instance, job_id: int) -> bool:
    """Whether the job is still to be had: a look that costs no turn at the write lock."""
    with instance.store.read() as session:
        return session.scalar(select(Job.status).where(Job.id == job_id)) == Status.PENDING


def _take(instance: Instance, job_id: int, runner_id: int, manager_id: int) -> bool:
    with instance.store.write() as session:
        runner, manager = session.get(Runner, runner_id), session.get(RunnerManager, manager_id)
        job = session.get(Job, job_id)
        if runner is None or manager is None or job is None:
            return False
        if not take(session, job_id, runner, manager, _timeout(job, runner)):
            return False
        session.refresh(job)
        begin_deployment(session, job)
        session.flush()
        settle(job.pipeline, latest_jobs(session, job.pipeline_id))
    return True


def _timeout(job: Job, runner: Runner) -> int:
    wanted = job.spec.timeout or int(job.pipeline.project.setting("build_timeout") or 3600)
    return min(wanted, runner.maximum_timeout) if runner.maximum_timeout else wanted


def _body(instance: Instance, job_id: int, queue_size: int) -> dict[str, Any] | None:
    """The payload; None when the job cannot be run as it is, which ends it."""
    try:
        with instance.store.read() as session:
            job = session.get(Job, job_id)
            return None if job is None else payload(_handout(instance, session, job, queue_size))
    except MissingDependencyError as error:
        _fail(instance, job_id, FailureReason.MISSING_DEPENDENCY, f"artifacts of these jobs are gone: {error}")
    except ConfigError as error:
        _fail(instance, job_id, FailureReason.DATA_INTEGRITY, str(error))
    return None


def _fail(instance: Instance, job_id: int, reason: FailureReason, text: str) -> None:
    _LOG.warning("job %s cannot be run: %s", job_id, text)
    CiService.of(instance).traces.append_line(job_id, f"\x1b[31;1mERROR: {text}\x1b[0;m")
    with instance.store.write() as session:
        job = session.get(Job, job_id)
        if job is not None and job.status == Status.RUNNING:
            finish(session, job, Status.FAILED, failure_reason=reason)


def _handout(instance: Instance, session: Session, job: Job, queue_size: int) -> Handout:
    spec = job.spec
    runner = session.get_one(Runner, job.runner_id)
    manager = session.get_one(RunnerManager, job.manager_id)
    service = CiService.of(instance)
    token = service.tokens.issue(job.id)
    repository_url = with_credentials(instance.url(f"/{job.pipeline.project.full_path}.git"), token)
    needed = dependencies_of(session, job, spec)
    variables = job_variables(
        job_context(session, job),
        spec,
        predefined=(
            *running_variables(instance.settings.external_url, job, token, repository_url, runner, manager),
            *_environment_variables(session, job),
        ),
        dotenv=dotenv_variables(needed),
    )
    variables = (*variables, *_id_tokens(instance, session, job, spec, mapping(variables)))
    return Handout(
        job=job,
        spec=spec,
        runner=runner,
        token=token,
        repository_url=repository_url,
        variables=variables,
        dependencies=archives(session, needed, service.tokens),
        cache_keys=tuple(_cache_keys(instance, job, spec)),
        instance_id=instance.key("instance-id").hex()[:32],
        queue_size=queue_size,
    )


def _environment_variables(session: Session, job: Job) -> Iterable[Variable]:
    environment = session.get(Environment, job.environment_id) if job.environment_id is not None else None
    if environment is None:
        return ()
    values = {"CI_ENVIRONMENT_ID": str(environment.id), "CI_ENVIRONMENT_TIER": environment.tier}
    if environment.external_url and not (job.spec.environment and job.spec.environment.url):
        values["CI_ENVIRONMENT_URL"] = environment.external_url
    return [Variable(key=key, value=value, raw=True) for key, value in values.items()]


def _id_tokens(
    instance: Instance, session: Session, job: Job, spec: JobSpec, values: dict[str, str]
) -> Iterable[Variable]:
    if not spec.id_tokens:
        return
    identity = job_identity(session, job, spec)
    key = CiService.of(instance).signing_key
    for wanted in spec.id_tokens:
        audiences = tuple(expand(audience, values, keep_missing=True) for audience in wanted.audiences)
        claims = identity.claims(
            issuer=instance.settings.external_url,
            audience=audiences[0] if len(audiences) == 1 else audiences,
            now=now(),
            lifetime_seconds=(job.timeout or 3600) + _TOKEN_GRACE_SECONDS,
        )
        yield Variable(key=wanted.name, value=key.sign(claims), public=False, masked=True, raw=True)


def job_identity(session: Session, job: Job, spec: JobSpec) -> JobIdentity:
    """What an ID token says about the job."""
    pipeline, user = job.pipeline, job.user
    project = pipeline.project
    environment = session.get(Environment, job.environment_id) if job.environment_id is not None else None
    return JobIdentity(
        namespace_id=project.namespace_id,
        namespace_path=project.namespace.full_path,
        project_id=project.id,
        project_path=project.full_path,
        user_id=user.id if user else 0,
        user_login=user.username if user else "",
        user_email=user.email if user else "",
        user_access_level=project_role(session, Identity(user=user), project).name.lower(),
        pipeline_id=pipeline.id,
        pipeline_source=pipeline.source,
        job_id=job.id,
        ref=pipeline.source_ref,
        ref_type="tag" if pipeline.tag else "branch",
        ref_path=f"refs/{'tags' if pipeline.tag else 'heads'}/{pipeline.source_ref}",
        ref_protected=pipeline.protected,
        runner_id=job.runner_id or 0,
        sha=pipeline.sha,
        project_visibility=project.visibility,
        ci_config_ref_uri=pipeline.config_ref_uri,
        ci_config_sha=pipeline.sha if pipeline.config_ref_uri else None,
        environment=environment.name if environment else None,
        deployment_tier=environment.tier if environment else None,
        environment_action=spec.environment.action if environment and spec.environment else None,
    )


def _cache_keys(instance: Instance, job: Job, spec: JobSpec) -> Iterable[str]:
    """One key for each cache: protected refs have caches of their own, so that others cannot poison them."""
    project = job.pipeline.project
    for cache in spec.caches:
        key = cache.key
        if cache.key_files:
            digest = _files_digest(Repository(instance.repositories / f"{project.id}.git"), job, cache.key_files)
            key = f"{cache.key_prefix}-{digest}" if cache.key_prefix else digest
        if project.setting("ci_separated_caches") and not cache.unprotect:
            key += "-protected" if job.protected else "-non_protected"
        yield key


def _files_digest(repository: Repository, job: Job, files: Iterable[str]) -> str:
    """The hash of the last commits that changed the files; `default` when there are none."""
    sha = job.pipeline.sha
    commits = {commit.sha for file in files if (commit := repository.last_commit(sha, file)) is not None}
    return hashlib.sha1("-".join(sorted(commits)).encode()).hexdigest() if commits else "default"  # noqa: S324
