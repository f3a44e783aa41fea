"""A configuration written out as YAML: the merged form that CI lint shows."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from pipelines.language.document import is_plain

_WIDTH = 100_000


class _Representer(SafeRepresenter):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class asks with the value
        """Values are written wherever they are used: a reader of the merged form looks at one job."""
        return True


def _string(representer: _Representer, text: str) -> Any:
    """Quotes what would be read back as something else than a string, such as `yes` or `1.0`."""
    style = "|" if "\n" in text else None if is_plain(text) else '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Representer.add_representer(str, _string)


def render(config: dict[str, Any]) -> str:
    """The configuration as YAML, in its own order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.explicit_start = True
    yaml.width = _WIDTH
    out = io.StringIO()
    yaml.dump(config, out)
    return out.getvalue()
