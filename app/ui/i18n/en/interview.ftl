# The interview.
interview-title = Interview
interview-sections = Sections
section-back = Previous
section-done = { $name }: complete
score = Score
field-saved = Saved { $time }
unit-years = years
unit-months = months
problem-required = This answer is missing.
problem-number = Type a number, digits only.
problem-range = It must be between { $min } and { $max }.
problem-option = Choose one of the options.
problem-unknown = This model does not ask this question.
estimate-missing = { $n ->
    [one] { $n } answer missing for an estimate
   *[other] { $n } answers missing for an estimate
  }
estimate-hidden = Estimate hidden
estimate-hide = Hide the estimate
estimate-show = Show the estimate
discard-title = Discard the interview?
discard-body = The answers of { $name } that have not been scored yet will be deleted. This cannot be undone.
discard-yes = Discard the interview
discard-done = Interview discarded
