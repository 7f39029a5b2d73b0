"""Plans: which fits make a job and what is concluded. The union grows with each plan folder."""

from jobs.plans.fit.spec import FitPlanSpec

PlanSpec = FitPlanSpec
