"""Assembly: finds complete studies, judges them by the rules, and makes a job for each eligible one."""
