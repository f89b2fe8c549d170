#!/usr/bin/env bash
# N hosts on one bridge, as network namespaces: PREFIX1 .. PREFIXN with eth0 = 10.66.0.i/24 and fd66::i/64.
# usage: hosts.sh up PREFIX N | hosts.sh down PREFIX        Needs root and iproute2.
# Labs of different prefixes never meet.
set -euo pipefail
command=$1 prefix=$2
down() {
  for ns in $(ip netns list | awk -v p="$prefix" '$1 ~ "^" p "([0-9]+|switch)$" {print $1}'); do ip netns del "$ns"; done
}
up() {
  local switch="${prefix}switch"
  ip netns add "$switch"
  ip -n "$switch" link add br0 type bridge
  ip -n "$switch" link set br0 up
  for i in $(seq "$1"); do
    local host="$prefix$i"
    ip netns add "$host"
    ip -n "$switch" link add "p$i" type veth peer name eth0 netns "$host"
    ip -n "$switch" link set "p$i" master br0 up
    ip -n "$host" link set lo up
    ip -n "$host" addr add "10.66.0.$i/24" dev eth0
    ip -n "$host" -6 addr add "fd66::$i/64" dev eth0 nodad
    ip -n "$host" link set eth0 up
  done
}
case $command in
  up) up "$3" ;;
  down) down ;;
  *) sed -n '2,4p' "$0" >&2; exit 2 ;;
esac
