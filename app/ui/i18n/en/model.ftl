# The model.
model-none = No model yet
model-none-do = It comes with the first sync. After that you can assess offline.
model-to-sync = Go to Sync
model-version = Version { $version }
model-checked = { $n ->
    [one] Checked here with { $n } case
   *[other] Checked here with { $n } cases
  }
model-age = { $n ->
    [0] Made today
    [one] Made { $n } day ago
   *[other] Made { $n } days ago
  }
model-made = Date of the model
model-since = In use here since
model-questions = Questions
model-hash = Fingerprint
model-purpose = What it is for
model-limits = Its limits
model-fairness = Fairness
model-performance = How well it ranks
metric-auc = AUC (1 is perfect, 0.5 is chance)
metric-ks = KS (largest separation)
metric-gini = Gini
metric-brier = Brier (less is better)
metric-log_loss = Log loss (less is better)
model-calibration = Predicted and observed
model-calibration-means = By group, on data the model had not seen. Under the observed share, its 95% interval.
column-group = Group
column-predicted = Predicted
column-observed = Observed
column-loans = Loans
model-origin = Where it comes from
model-author = Author
model-data = Data
model-rows = Rows
model-source = Source
model-data-hash = Fingerprint of the data
model-updates = History
model-outcome-activated = Activated
model-outcome-refused = Refused
model-refused-title = Version { $version } was refused
model-refused-calm = The previous model stays in use; you can go on assessing.
model-refusal-hash = The file did not arrive whole, or was altered.
model-refusal-format = It needs a newer version of the app.
model-refusal-invalid = Something is missing in the document, or contradicts itself.
model-refusal-golden = On this device it does not give the results that it must.
model-refusal-rollback = It is older than the model in use.
