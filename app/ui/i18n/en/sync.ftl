# Sync.
sync-now = Sync now
sync-under-way = Syncing…
sync-idle-means = Everything captured is on the server and this device is up to date.
sync-waiting-means = It is kept, encrypted, on this device. It will be sent by itself when there is a connection.
sync-never-means = Connect once to receive your portfolio and the model.
sync-offline-means = You can go on working: nothing needs the network.
sync-offline-next = You can go on working. The next try is at { $time }.
sync-connecting-means = Looking for the server and signing in.
sync-sending-means = Sending what was captured, in order. You may leave this screen.
sync-receiving-means = Receiving the changes to your portfolio. If it breaks off, it goes on where it was.
sync-receiving-earlier-means = All your clients are here with their last assessment. The earlier ones are still coming; you can work meanwhile.
sync-files-means = The interviews are at the server; pictures and signatures follow. If it breaks off, they go on where they were.
sync-files-wait = { $n ->
    [one] A picture or signature waits to be sent; it is kept here.
   *[other] { $n } pictures or signatures wait to be sent; they are kept here.
  }
sync-model-means = Fetching and checking a model. The current one stays in use.
sync-last-error = Last failure: { $time }
sync-sign-in = Sign in again
sync-aside = { $n ->
    [one] { $n } record put aside
   *[other] { $n } records put aside
  }
sync-aside-means = The server keeps them, but somebody must look at them. They hold nothing else up.
aside-unknown-kind = The server does not know this kind of record yet: it needs an update.
aside-malformed = A value in it is not allowed by the server.
aside-foreign = It belongs to another user, device or branch.
aside-not-allowed = Your role may not do this, or the client is in another portfolio.
aside-unknown-record = It refers to a client or an assessment that has not reached the server yet. It settles by itself when that arrives.
aside-contradiction = The server already has another content under the same identifier; it kept the first.
aside-erased = The data of this client was erased at their request, and what is recorded about them is not kept. Nothing is left to do.
aside-other = The server gave a reason that this version does not know.
sync-unread = { $n ->
    [one] { $n } change on the server needs a newer version of this app. Everything else is here.
   *[other] { $n } changes on the server need a newer version of this app. Everything else is here.
  }
sync-see-client = See the client
sync-waiting = { $n ->
    [0] Waiting to be sent
    [one] Waiting to be sent: { $n }
   *[other] Waiting to be sent: { $n }
  }
sync-nothing-waits = Nothing is waiting.
sync-more = { $n ->
    [one] and { $n } more
   *[other] and { $n } more
  }
sync-kind-client_captured = New client
sync-kind-client_edited = Corrected details
sync-kind-attached = Picture, signature or place
sync-kind-assessed = Assessment
sync-kind-decided = Decision
# The branch, for its manager.
branch-title = Devices of the branch
branch-devices = { $n ->
    [one] One device
   *[other] { $n } devices
  }
branch-seen = last contact: { $time }
branch-revoked = Revoked
branch-clock-off = Clock is off
branch-nothing-aside = The server has put nothing of this branch aside.
branch-aside = { $n ->
    [one] The server put one record aside
   *[other] The server put { $n } records aside
  }
branch-aside-at = record { $seq }, { $time }
branch-again = Ask again
sync-receipt = What the server holds
receipt-says = The server confirmed that it holds everything up to record { $seq }: { $time }.
receipt-none = The server has not confirmed anything from this device yet.
receipt-seq = Last confirmed record
receipt-hash = Fingerprint
clock = Device clock
drift-seconds = { $n } s
drift-minutes = { $n } min
drift-hours = { $n } h
drift-days = { $n } days
drift-none = as the server's
drift-ahead = { $by } ahead
drift-behind = { $by } behind
drift-unknown = Measured at the next contact
drift-worrying = The clock is far from the server's. Turn on automatic date and time on this device.
server = Server
device = Device
sync-runs = { $n ->
    [one] Last run
   *[other] Last { $n } runs
  }
run-well = Sent: { $sent } · Received: { $received }
share-log = Share the log
share-log-help = For support. It holds no client data.
log-copied = Log copied. Paste it into a message to support.
log-select = Select the log's text and copy it.
