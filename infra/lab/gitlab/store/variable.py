"""CI/CD variables of the instance, of groups and of projects."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from infra.lab.gitlab.store.base import Base, Identified

ANY_ENVIRONMENT = "*"


class Variable(Identified, Base):
    """One variable: of a project, of a group, or (neither) of the instance. The file of the database is 0600."""

    __tablename__ = "variable"

    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"))
    key: Mapped[str]
    value: Mapped[str]
    variable_type: Mapped[str] = mapped_column(default="env_var")
    protected: Mapped[bool] = mapped_column(default=False)
    masked: Mapped[bool] = mapped_column(default=False)
    hidden: Mapped[bool] = mapped_column(default=False)
    raw: Mapped[bool] = mapped_column(default=False)
    environment_scope: Mapped[str] = mapped_column(default=ANY_ENVIRONMENT)
    description: Mapped[str | None]

    def __repr__(self) -> str:
        return f"Variable({self.key!r}, environment_scope={self.environment_scope!r})"


Index(
    "variable_name",
    func.coalesce(Variable.project_id, 0),
    func.coalesce(Variable.group_id, 0),
    Variable.key,
    Variable.environment_scope,
    unique=True,
)
