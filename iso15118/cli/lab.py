"""Run a command in a private network with two joined interfaces, without root (Linux).

Charger and vehicle find each other over them as over a charging cable; each has a link-local IPv6
address. Everything is gone when the command ends; its exit code is handed on.

  iso15118 lab -- sh -c 'iso15118 charger --interface vse --once --insecure-no-tls & sleep 1;
                         iso15118 vehicle --interface vev --once --insecure-no-tls; wait'
"""
