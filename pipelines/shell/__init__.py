"""Shell text of jobs: what bash and ShellCheck say of it, and what it does."""
