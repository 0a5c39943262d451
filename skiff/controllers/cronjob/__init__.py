"""CronJobs: `schedule` reads cron expressions and computes times (pure), `controller` starts and cleans up jobs."""
