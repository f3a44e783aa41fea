"""GitLab's REST API v4, one module a noun; see `infra.lab.gitlab` for how to add one."""
