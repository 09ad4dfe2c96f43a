-- Version 8: a device's own key (RFC 9449), without which its tokens open nothing.
ALTER TABLE devices ADD COLUMN key TEXT;  -- its thumbprint; none until it has shown one
