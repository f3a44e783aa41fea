"""What pipelines are rendered from, as one thing: the catalogue, the context and the templates of a checkout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from infra.core.settings import Settings
from pipelines.catalogue import Catalogue
from pipelines.render import Context, render_release
from pipelines.template import Templates


@dataclass(frozen=True, kw_only=True)
class Source:
    """A checkout's pipelines, before they are rendered."""

    catalogue: Catalogue
    context: Context
    templates: Templates

    @classmethod
    def of(cls, settings: Settings, catalogue: Catalogue) -> Self:
        """What the settings name."""
        context = Context.of(catalogue, settings)
        return cls(catalogue=catalogue, context=context, templates=Templates(settings.templates))

    @property
    def version(self) -> str:
        """The release that is made of it."""
        return self.context.release

    def files(self, version: str | None = None) -> dict[str, str]:
        """Every file of the release by its path. With `version`: as they would be if that were the release's version.

        Two releases are compared so: what is left are the differences that are not the version itself.
        """
        context = replace(self.context, release=version or self.version)
        return render_release(self.catalogue, context, self.templates)
