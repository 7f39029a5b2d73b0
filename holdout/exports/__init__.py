"""Jobs handed on to other tools: functions over what the API says of a job, `job`, `fits` and `curves` as parsed JSON."""
