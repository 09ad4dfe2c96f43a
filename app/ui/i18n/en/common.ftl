# What every screen uses.
skip-to-content = Skip to the content
navigation = Navigation
nav-review = Review
nav-portfolio = Portfolio
nav-model = Model
nav-sync = Sync
nav-settings = Settings
role-officer = Loan officer
role-manager = Branch manager
role-analyst = Risk analyst
role-admin = Administrator
role-service = Another system
back = Back
cancel = Cancel
undo = Undo
dismiss = Dismiss
try-again = Try again
loading = Loading…
starting = Starting…
optional = optional
choose = Choose, or type to search
nothing-found = Nothing matches
show-password = Show what is typed
pin-delete = Delete the last digit
pin-digits = { $n ->
    [one] { $n } digit entered
   *[other] { $n } digits entered
  }
lock = Lock
# The state of the world, in one line.
world-offline = Offline: you can go on working
world-offline-waiting = { $n ->
    [one] Offline, { $n } waiting
   *[other] Offline, { $n } waiting
  }
world-connecting = Connecting…
world-sending = Sending { $done } of { $total }
world-receiving = Receiving { $done } of { $total }
world-receiving-earlier-begun = Earlier assessments are coming
world-receiving-earlier = Earlier assessments: { $done } of { $total }
world-files = { $n ->
    [one] Sending { $n } picture: { $percent }%
   *[other] Sending { $n } pictures: { $percent }%
  }
world-files-waiting = { $n ->
    [one] { $n } picture to send
   *[other] { $n } pictures to send
  }
world-model = Updating the model…
world-blocked = Blocked: { $cause }
world-waiting = { $n ->
    [one] { $n } waiting
   *[other] { $n } waiting
  }
world-sent = Sent { $time }
world-never = Not synced yet
world-locked = Kept safe here; syncs once unlocked
world-quarantined = { $n ->
    [one] { $n } put aside
   *[other] { $n } put aside
  }
# Probability and groups.
pd-below-one = less than 1 in 100
pd-above-99 = more than 99 in 100
pd-in-100 = { $n } in 100
group-of-eight = Group { $n } of 8, from the lowest risk to the highest
scale-says = Group { $group }, probability of default { $pd }, on a scale from T1 (lowest risk) to T8 (highest risk)
raises = Raises the risk:
lowers = Lowers the risk:
decision-approve = Approve
decision-refer = Refer
decision-refuse = Refuse
# Time.
ago-now = just now
ago-minutes = { $n } min ago
ago-hours = { $n } h ago
ago-days = { $n ->
    [one] { $n } day ago
   *[other] { $n } days ago
  }
month-1 = Jan
month-2 = Feb
month-3 = Mar
month-4 = Apr
month-5 = May
month-6 = Jun
month-7 = Jul
month-8 = Aug
month-9 = Sep
month-10 = Oct
month-11 = Nov
month-12 = Dec
