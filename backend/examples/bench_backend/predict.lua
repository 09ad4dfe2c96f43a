-- wrk's requests for a score: each of another applicant, drawn by a fixed seed, so that no server can
-- answer from memory. VEREDA_TOKEN, if it is there, is sent along.

local jobs = { "fixed", "part_time", "freelance", "other" }
local homes = { "rent", "owner", "private", "ignore", "parents", "other" }
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("place", threads)
end

function init(_)
  -- With its own draw for each run, too: what an earlier one asked may be remembered.
  math.randomseed(tonumber(os.getenv("BENCH_SEED") or "1") * 1000 + place)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  local token = os.getenv("VEREDA_TOKEN")
  if token then
    wrk.headers["Authorization"] = "Bearer " .. token
  end
end

local form = '{"features":{"amount":%d,"term_months":%d,"price":%d,"job":"%s","seniority_years":%d,'
  .. '"income":%d,"home":"%s","expenses":%d,"assets":%d,"debt":%d,"records":%s},"client_ref":"L-%07d"}'

function request()
  local draw = math.random
  local amount = draw(100, 5000)
  local body = form:format(amount, draw(6, 72), amount + draw(0, 3000), jobs[draw(#jobs)], draw(0, 40),
    draw(0, 900), homes[draw(#homes)], draw(30, 180), draw(0, 50000), draw(0, 5000),
    draw(4) == 1 and "true" or "false", draw(0, 9999999))
  return wrk.format(nil, nil, nil, body)
end

-- One line of JSON, for the program that runs this.
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"seconds":%.6f,"p50_us":%.0f,"p99_us":%.0f,"max_us":%.0f,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.max,
    e.status, e.connect + e.read + e.write + e.timeout))
end
