"""Every kind that the provider serves, by its type; written by hand, a system after the other."""

from __future__ import annotations

from typing import Any

from infra.provider.docker.certificate import CERTIFICATE
from infra.provider.docker.config import CONFIG
from infra.provider.docker.container import CONTAINER
from infra.provider.docker.image import IMAGE
from infra.provider.docker.network import NETWORK
from infra.provider.docker.secret import SECRET
from infra.provider.docker.volume import VOLUME
from infra.provider.gitlab.files import REPOSITORY_FILES
from infra.provider.gitlab.group import GROUP
from infra.provider.gitlab.member import MEMBER
from infra.provider.gitlab.project import PROJECT
from infra.provider.gitlab.protection import PROTECTED_BRANCH, PROTECTED_TAG
from infra.provider.gitlab.runner import RUNNER
from infra.provider.gitlab.schedule import PIPELINE_SCHEDULE
from infra.provider.gitlab.settings import APPLICATION_SETTINGS
from infra.provider.gitlab.share import PROJECT_SHARE
from infra.provider.gitlab.tag import TAG
from infra.provider.gitlab.token import ACCESS_TOKEN, DEPLOY_TOKEN
from infra.provider.gitlab.variable import GROUP_VARIABLE, PROJECT_VARIABLE
from infra.provider.kind import Kind
from infra.provider.lab.process import PROCESS
from infra.provider.nexus.access import CONTENT_SELECTOR, PRIVILEGE, ROLE, USER
from infra.provider.nexus.repository import BLOB_STORE, REPOSITORY
from infra.provider.nexus.settings import AGREEMENT, ANONYMOUS_ACCESS, CLEANUP_POLICY, REALMS
from infra.provider.vault.jwt import JWT_CONFIG, JWT_ROLE
from infra.provider.vault.mount import AUTH_MOUNT, PLUGIN, SECRETS_MOUNT
from infra.provider.vault.nexus_engine import NEXUS_BACKEND, NEXUS_ROLE
from infra.provider.vault.policy import POLICY
from infra.provider.vault.secret import KV_SECRET, TRANSIT_KEY

_ALL: tuple[Kind[Any], ...] = (
    CERTIFICATE,
    CONFIG,
    CONTAINER,
    IMAGE,
    NETWORK,
    SECRET,
    VOLUME,
    ACCESS_TOKEN,
    APPLICATION_SETTINGS,
    DEPLOY_TOKEN,
    GROUP,
    GROUP_VARIABLE,
    MEMBER,
    PIPELINE_SCHEDULE,
    PROJECT,
    PROJECT_SHARE,
    PROJECT_VARIABLE,
    PROTECTED_BRANCH,
    PROTECTED_TAG,
    REPOSITORY_FILES,
    RUNNER,
    TAG,
    PROCESS,
    AGREEMENT,
    ANONYMOUS_ACCESS,
    BLOB_STORE,
    CLEANUP_POLICY,
    CONTENT_SELECTOR,
    PRIVILEGE,
    REALMS,
    REPOSITORY,
    ROLE,
    USER,
    AUTH_MOUNT,
    JWT_CONFIG,
    JWT_ROLE,
    KV_SECRET,
    NEXUS_BACKEND,
    NEXUS_ROLE,
    PLUGIN,
    POLICY,
    SECRETS_MOUNT,
    TRANSIT_KEY,
)

KINDS: dict[str, Kind[Any]] = {kind.type_name: kind for kind in _ALL}
