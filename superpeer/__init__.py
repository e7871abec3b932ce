"""The super-peer: indexes its leaves' files and floods queries among its neighbours."""
