# Unlocking, changing user, and the first start.
unlock = Unlock
unlock-prompt = Enter your PIN
unlock-guarded = Use fingerprint or face
guarded-title = Open Vereda
guarded-reason = Your fingerprint or face opens your data.
guarded-cancel = Use the PIN
unlock-wait = { $n ->
    [one] Wait { $n } second: you can try again at { $time }
   *[other] Wait { $n } seconds: you can try again at { $time }
  }
unlock-wait-minutes = { $n ->
    [one] Wait { $n } minute: you can try again at { $time }
   *[other] Wait { $n } minutes: you can try again at { $time }
  }
other-user = Other user
who-title = Who is working now?
who-apart = Each person's data is kept apart and encrypted. Changing user deletes nothing.
who-somebody = Add another person
next = Continue
enrol-title = Set up this device
enrol-step = Step { $step } of { $of }
enrol-server-intro = Do this once, with a connection. After that Vereda works without a network.
enrol-server-help = Your institution gives it to you.
enrol-server-missing = Type the server's address.
server-address = Server address
username = User name
enrol-username-missing = Type your user name.
password = Password
enrol-password-help = Used only now; it is not kept on the device.
enrol-password-missing = Type your password.
enrol-pin = Choose a PIN
enrol-pin-help = It opens Vereda even without a network. Six digits or more; neither a sequence nor a repetition.
enrol-pin-weak = That PIN is easy to guess. Choose another one.
enrol-pin-differs = The two PINs did not match. Choose it again.
enrol-pin-again = Repeat the PIN
enrol-pin-again-help = Nobody can recover it: be sure to remember it.
enrol-finish = Set up the device
enrol-under-way = Signing in and encrypting the store…
