"""Assembly: finds complete studies, judges their eligibility by the rules, and creates a job for each eligible one."""
