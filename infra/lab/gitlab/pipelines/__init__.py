"""What makes pipelines happen: creating, processing, handing out and finishing jobs.

Between the language (`ci`, pure) and HTTP (`api`): each function takes a database session and does one change of state.
"""
