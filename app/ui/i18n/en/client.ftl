# Client: who they are, what they agreed to, what has happened.
client-title = Client
client-edit = Edit client
client-assess = Assess
client-go-on = Go on with the interview
client-see-result = See result
client-undecided = No decision
client-data = Details
client-none = Not recorded
client-officer = Officer
client-since = Client since
client-consented = { $date }, text { $version }
client-delivery = Delivery
client-timeline = History
client-timeline-rest = Of each detail the last three changes are shown; the centre keeps all of them.
client-no-assessment = No assessments yet
client-no-assessment-do = Tap “Assess” to do the interview. No connection is needed.
client-over-time-says = Risk over { $n } assessments: from { $first } to { $last }. Lowest risk on top.
client-draft = There is an unfinished interview. Every answer given is saved.
client-draft-discard = Discard the interview
client-draft-discard-ask = Discard the interview?
client-draft-discard-means = The answers of this interview are deleted. The client and their assessments stay.
client-draft-discarded = Interview discarded
# Pictures, signature, place.
attachments-title = Pictures, signature and place
attachments-none = There are none yet.
attachment-document = Identity document
attachment-business = Business
attachment-signature = Signature
attachment-position = Place
attachment-by = { $actor }, { $time }
attachment-waiting = To be sent
attachment-see = See: { $name }
attachment-large = Kept picture
attachment-close = Close
attachment-kept = Kept
attachment-not-here = It is not on this device.
attach-document = Picture of the document
attach-business = Picture of the business
attach-signature = Signature
attach-position = Place
signature-pad = Space to sign
signature-help = The client signs with a finger inside the box.
signature-keep = Keep signature
signature-again = Clear and repeat
# Conflicts.
conflict-title = { $field }: two different values
conflict-says = “{ $holds }” holds. { $actor } wrote “{ $lost }” without knowing of it ({ $time }).
conflict-keep = Keep { $value }
conflict-use = Use { $value }
conflict-settled = Conflict settled
# Form.
client-label-name = Full name
client-label-document = Identity document
client-label-phone = Phone
client-label-place = Place
client-help-name = As on the document.
client-help-document = With its type, such as CC 52.741.963.
client-help-phone = The one where they are reached most easily.
client-help-place = Village, hamlet or address where they live or work.
client-required-name = Enter the full name.
client-required-document = Enter the document number.
client-malformed-name = A name has at least one letter.
client-malformed-document = A document has at least one digit.
client-malformed-phone = A phone has at least 5 digits. If there is none, leave it empty.
client-malformed-place = Remove the characters that cannot be seen.
client-too-long = Use at most { $max } characters.
client-create = Create client
client-create-anyway = Another person: create
client-created = Client created
client-save = Save changes
client-saved = Changes saved
client-not-editable = You can see this client, but not change them.
duplicate-title = { $n ->
    [one] They may be registered already
   *[other] They may be registered already: { $n } look alike
  }
duplicate-do = If it is the same person, open them instead of creating another.
duplicate-document = The same document
duplicate-phone = The same phone
duplicate-name = Nearly the same name
duplicate-open = This is the same person: open
# Consent.
consent-title = Consent to data use
consent-text =
    I allow the institution to use my personal data (name, document, phone, place and what I answer in the interview) to assess my loan application and to follow up on the loan.

    I know that an automatic assessment estimates the risk and that a person takes the decision.

    I can ask at any time to be shown my data, to have it corrected, or to have it deleted where the law allows, and I can withdraw this consent.
consent-version = Text { $version }. Recorded with the date { $date }.
consent-given = I read the text to the client and they agree
consent-missing = A client's data cannot be kept without their consent. Read them the text and tick the box.
