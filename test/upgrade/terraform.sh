#!/bin/sh
# Stands in for Terraform, whose providers the tests do not have: `state pull`, `list` and `rm` on the addresses in the file
# terraform.state. Like Terraform it takes an address only with its quotes.
case "$1 $2" in
  "state pull" | "state list") cat terraform.state ;;
  "state rm")
    grep -qxF -e "$3" terraform.state || { echo "Error: Invalid target address: $3" && exit 1; }
    grep -vxF -e "$3" terraform.state > terraform.rest
    mv terraform.rest terraform.state
    echo "Removed $3"
    ;;
  *) echo "Error: not known to the stand-in: $*" && exit 1 ;;
esac
