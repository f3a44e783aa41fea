"""The embedded GitLab: a stand-in for what Forgeline and its users' pipelines need of GitLab.

Layers: `ci` (the language, pure) · `store` (tables) · `access` (roles) · `instance` (settings, keys, hooks) ·
`repository` (git) · `api` (HTTP) · `web` (pages) · `app` (puts them together).

To add a noun:

1. `store/NOUN.py`: tables on `store.base.Base` with `Identified`; name the module in `store/__init__.py`.
2. `api/NOUN.py`: handlers `def show(request: Request) -> Answer`, and `ROUTES = (get("/projects/:id/nouns", …), …)`
   with `get`, `post`, `put`, `patch`, `delete` of `api.route` and parameters of `api.parameter` (`string`, …). Name it
   in `app.NOUNS`. Inside a handler: `request.project(Role.DEVELOPER)` (404 unseen, 403 role too low),
   `request.group(…)`, `request.code()` (may read code), `request.params` (declared, converted),
   `request.segment("name")`, `request.number("noun_id")`, `request.session`, `request.identity`, `request.instance`;
   errors are raised from `api.error`; lists go through `api.page.paginate`.
   `transaction=Transaction.OWN` for a handler that runs git or waits: it opens `request.instance.store.read()` and
   `.write()`. `entry=Entry.OPEN` for protocols with credentials of their own (runner, job); `job_token=True` where a
   job token opens it.
   A handler may also return any Starlette response (files, streams).
3. Hooks: append to the lists in `instance.hooks` (see `instance.Hooks`) in a function `attach(instance)` that
   `app.PARTS` names.
"""
