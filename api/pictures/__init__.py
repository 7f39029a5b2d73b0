"""Pictures of jobs: a room for each plan, and the curves of any fits. Figures are made without pyplot: requests run in threads."""
