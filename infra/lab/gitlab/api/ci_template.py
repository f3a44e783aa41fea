"""The names of the CI configurations that GitLab brings along. Their texts are GitLab's and are not part of this."""

from __future__ import annotations

from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.route import Answer, Entry, Request, get

NAMES = (
    *("5-Minute-Production-App", "Android", "Android-Fastlane", "Auto-DevOps", "Bash", "C++", "Chef", "Clojure"),
    *("Composer", "Crystal", "Dart", "Deploy-ECS", "Django", "Docker", "Elixir", "Flutter", "Go", "Gradle", "Grails"),
    *("iOS-Fastlane", "Julia", "Kaniko", "LaTeX", "Laravel", "Matlab", "Maven", "Mono", "NPM", "Nodejs", "OpenShift"),
    *("PHP", "Packer", "Python", "Ruby", "Rust", "Scala", "Swift", "Terraform", "dotNET", "dotNET-Core"),
)


def _list(request: Request) -> Answer:
    return paginate(request, NAMES, lambda name: {"key": name, "name": name})


ROUTES = (get("/templates/gitlab_ci_ymls", _list, entry=Entry.ANYONE),)
