"""Pages for people: plain HTML, no assets of others, marked as the stand-in's on every page.

To add a page of a project: a function `def show(visit: Visit) -> Response`, and
`PAGES = (Page(path="pipelines/:id", handler=show),)` in a module that `site.MODULES` names; the path is what follows
`/GROUP/PROJECT/-/`. `visit.render("name.html", key=value)` fills a template of `templates/` that extends
`base.html`. A form posts with a hidden field `<input type="hidden" name="authenticity_token" value="{{ csrf }}">`;
without it a POST never reaches the handler.
"""
