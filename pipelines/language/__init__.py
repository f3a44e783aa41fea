"""The CI language: from a `.gitlab-ci.yml` to the jobs of a pipeline. Pure: files come through a callback.

    compiler.compile_pipeline(source: ConfigSource, context: Context) -> PipelineSpec      raises ConfigError
    compiler.plan_pipeline(configuration, source, context) -> PipelineSpec        of a configuration read once
    compiler.matched_rules(configuration, source, context)  which rule of the workflow and of each job applies
    compiler.lint(source: ConfigSource, context: Context, *, dry_run=False) -> LintResult  raises nothing
    variable.job_variables(context, job, *, predefined=(), dotenv=()) -> tuple[Variable, ...]
                                            everything a job gets, lowest precedence first, expanded as the server does
    variable.expand(text, variables: Mapping[str, str], *, keep_missing=False) -> str
    variable.expand_all(variables) / variable.mapping(variables) / variable.scope_matches(scope, environment)
    graph.JobState(name, stage_index, status, when, needs, allow_failure) / JobState.of(spec, status, exit_code=None)
    graph.advance(jobs: Sequence[JobState]) -> dict[str, Status]
                                            `created` jobs that now become pending, manual, scheduled or skipped
    graph.composite_status(jobs) -> Status | None    of a pipeline or a stage;  graph.has_warnings(jobs) -> bool
    graph.revived(jobs, retried) -> frozenset[str]   skipped jobs that are `created` again when that job is retried
    document.read(text) -> Document         the value of a YAML text, and the place of every key and item
    duration.parse(text: str) -> int | None seconds; None for "never"
    slug.slug(name), slug.environment_slug(name)

A configuration goes through `document` (YAML), `include`, `reference`, `extends` (together `configuration.merge`),
then `configuration.read_configuration` checks it (`job`, `rule`, `need`, `matrix`, `artifact`, `keyword`, `policy`,
`assignment` by way of `entry`), then `compiler` decides for one context. The data are in `model`, the error in `error`.
"""
