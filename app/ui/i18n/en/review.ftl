# Review: the branch manager's queue and the detail of each assessment.
review-list = Assessments to review
review-choose = Choose an assessment
review-choose-do = The list is on the left. With j and k you move through it without leaving the keyboard.
review-count = { $n ->
    [one] { $n } assessment
   *[other] { $n } assessments
  }
review-none = No assessments yet
review-none-do = They appear here when your branch's officers sync.
review-all-decided = Everything is decided
review-all-decided-do = No assessment waits for your decision.
review-show-all = Show all
review-no-match = Nothing matches the filters
review-no-match-do = Clear one of them to see more assessments.
review-undecided = Undecided
review-by-officer = Officer: { $what }
review-mismatch = Differs
review-overridden = Override
review-waiting = To be sent
# Filters.
filters = Filters
filter-undecided = Undecided
filter-mismatch = Re-score differs
filter-overridden = Overrides
filter-group = Group
filter-officer = Officer
filter-age = Age
filter-any = All
filter-anybody = Everybody
filter-any-age = Any
filter-age-days = { $n ->
    [one] Last day
   *[other] Last { $n } days
  }
filter-clear = Clear filters
# Detail.
review-scored-by = Assessed by { $officer }, { $time }
review-client = Show the client
review-pd = Probability of default: { $pd }
review-suggests = Policy suggests: { $what }
review-reasons = Why
review-inputs = What the client answered
review-model = Model
review-model-name = Name and version
review-model-made = Made on
review-model-hash = SHA-256 hash
review-margin = Margin and its bits
review-copy = Copy the hash
review-copied = Hash copied
review-history = History
review-may-not = This assessment is not yours to decide.
review-went-against = It goes against what policy suggests.
review-quarantined = The server put this assessment aside
review-quarantined-do = It is stored but not applied. Clear up the cause with support before you decide.
rescore-none = The server has not computed it again yet
rescore-none-means = It does so when it syncs. Until then the phone's result stands.
rescore-same = The server computed it again: the same result
rescore-same-means = The same bits from the same model and the same answers.
rescore-different = The server got another result
rescore-different-means = The same model and the same answers should give the same: something was tampered with or there is a bug. Do not decide before support has cleared it up.
rescore-impossible = The server could not compute it again
rescore-impossible-means = The result is the phone's alone. The cause:
rescore-device = Phone
rescore-server = Server
decided-approve = Approved
decided-refer = Referred
decided-refuse = Refused
event-captured = { $actor } registered the client
event-edited = { $actor } changed { $field } to “{ $value }”
event-attached = { $actor } added: { $what }
event-emptied = { $actor } cleared { $field }
event-assessed = { $actor } assessed: { $group }, { $pd }, model { $version }
event-approve = { $actor } ({ $rank }) approved
event-refer = { $actor } ({ $rank }) referred
event-refuse = { $actor } ({ $rank }) refused
answer-missing = Not known
answer-yes = Yes
answer-no = No
answer-years = { $n ->
    [one] { $n } year
   *[other] { $n } years
  }
answer-months = { $n ->
    [one] { $n } month
   *[other] { $n } months
  }
# Deciding.
review-ask-approve = Approve the loan for { $client }?
review-ask-refer = Refer the loan for { $client } to the committee?
review-ask-refuse = Refuse the loan for { $client }?
review-ask-risk = Group { $group }, { $pd }.
review-as-suggested = It is what policy suggests.
review-against = Policy suggests otherwise ({ $what }): say why.
review-next-sync = { $officer } sees the decision at the next sync.
review-do-approve = Approve the loan
review-do-refer = Refer to the committee
review-do-refuse = Refuse the loan
review-done-approve = Approved: { $client }
review-done-refer = Referred: { $client }
review-done-refuse = Refused: { $client }
review-why = Reason
review-why-missing = Choose the reason
review-words = In words
review-words-help = The officer and auditors will read it.
review-words-missing = Write the reason in a sentence
override-known_client = We know the client
override-guarantee = Guarantee or guarantor
override-not_in_the_form = Something the form does not ask
override-doubtful_data = An answer is doubtful
override-policy = A rule of the institution
override-other = Another reason
# Keys.
keys-show = Shortcut keys
keys-title = Shortcut keys
keys-j = Next assessment
keys-k = Previous assessment
keys-a = Approve
keys-r = Refer
keys-x = Refuse
keys-help = Show this help
keys-on = Use single-letter keys
close = Close
