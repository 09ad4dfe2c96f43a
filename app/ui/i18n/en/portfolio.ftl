# Portfolio: search, finish what was begun, open a client.
portfolio-search = Name, document or phone
portfolio-search-clear = Clear the search
portfolio-drafts = To finish
portfolio-draft = { $done } of { $of } answers
portfolio-clients = Clients
portfolio-count = { $n ->
    [one] { $n } client
   *[other] { $n } clients
  }
portfolio-found = { $n ->
    [one] { $n } match
   *[other] { $n } matches
  }
portfolio-whom = Whom will you assess?
portfolio-choose = Choose a client
portfolio-choose-do = The list is on the left. Search by name, document or phone; accents do not matter.
portfolio-none-found = Nobody matches “{ $query }”
portfolio-none-found-do = Try fewer letters, or the document or the phone. If this is somebody new, register them.
portfolio-empty = No clients yet
portfolio-empty-do = Register the first one; no connection is needed. Those on the server arrive with the next sync.
portfolio-empty-manager-do = They appear once your branch's officers sync.
new-assessment = New assessment
new-client = New client
client-waiting = To send
client-conflict = Conflict
client-never-assessed = Not assessed
