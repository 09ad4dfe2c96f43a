# unlock
