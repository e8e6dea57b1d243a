#!/bin/sh
# One step of an update, on the machine that is updated. rootfs/push/reach.py sends this text with
# "set -- STEP ARGUMENT…" before it; nothing of it stays in the machine.
#   look                               says what the machine is, and what its two places hold
#   copy DEVICE PLACE KIB              puts the tar archive on standard input into the place
#   mark DEVICE PLACE SECONDS TOKEN    lets the next start, and only that, take the place; starts again
#   well SERVICE PORT…                 whether the service runs and stays up, and listens
#   keep DEVICE PLACE TOKEN            lets all further starts take the place
#   unmark DEVICE                      nothing is to be tried
#   again                              starts the machine again
# Each line of the answer begins with its kind; "fail WHY" is the last one if the step cannot be done.
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
disk=/run/push

fail() {
  echo "fail $*"
  exit 1
}

# The ESP $2, as $1 says: ro or rw. An earlier power cut may have left a chain of clusters without an
# end. The machine itself reads the ESP for a moment when it starts.
open_esp() {
  mkdir -p "$disk"
  tries=5
  until mount -t vfat -o "$1,nosuid,nodev,noexec,noatime,errors=continue" "$2" "$disk" 2>/dev/null; do
    [ $((tries -= 1)) -gt 0 ] || fail unreadable "$2"
    sleep 1
  done
  trap 'umount "$disk"' EXIT
  [ "$1" = ro ] || ! grep -q " $disk vfat ro" /proc/mounts || fail readonly "$2"
}

close_esp() {
  sync
  trap - EXIT
  umount "$disk" || fail busy "$disk is in use"
}

# kept, tried, started, seconds, token: the sector as plan/recipes/loader/starter.cr describes it.
read_state() {
  read -r _ kept tried started seconds token <"$disk/BQ2/STATE"
}

# In its place: the file keeps its sector, so the old text or the new one is there after a power cut.
write_state() {
  printf 'BQ2 %s %s %s %s %s\n%463s\n' "$kept" "$tried" "$started" "$seconds" "$token" '' |
    dd of="$disk/BQ2/STATE" bs=512 iflag=fullblock conv=notrunc,fsync 2>/dev/null || fail readonly
}

look() {
  echo "boot $(cat /proc/sys/kernel/random/boot_id)"
  echo "keys $(cat /run/ssh/keys/* 2>/dev/null | grep -c .)"
  mkdir -p "$disk"
  for device in $(blkid | sed -n 's/^\([^:]*\):.* LABEL="ESP".*/\1/p'); do
    if ! mount -t vfat -o ro "$device" "$disk" 2>/dev/null; then
      echo "unreadable $device"
      continue
    fi
    if [ -f "$disk/BQ2/STATE" ]; then
      read_state
      echo "esp $device $kept $tried $started $token"
      (cd "$disk" && sha256sum EFI/BOOT/*.EFI BQ2/?/*.EFI 2>/dev/null | sed 's/^/file /')
    elif [ -d "$disk/EFI/BOOT" ]; then
      echo "other $device"
    fi
    umount "$disk"
  done
  sed 's/^/image /' /etc/bq2/image.json
}

copy() {
  open_esp rw "$1"
  read_state
  [ "$kept" != "$2" ] || fail kept
  # From here on the place holds neither what is tried nor what was started.
  [ "$started" != "$2" ] || started=-
  tried=-
  write_state
  rm -rf "$disk/BQ2/$2"
  sync
  free=$(df -k "$disk" | awk 'END { print $4 }')
  [ "$free" -gt "$3" ] || fail full "$free" "$3"
  mkdir "$disk/BQ2/$2" || fail copy
  tar -xo -C "$disk/BQ2/$2" -f - || fail copy
  close_esp
  # Read again from the disk, not from memory.
  open_esp ro "$1"
  (cd "$disk" && sha256sum "BQ2/$2"/*.EFI | sed 's/^/file /')
  close_esp
}

mark() {
  open_esp rw "$1"
  read_state
  [ "$kept" != "$2" ] || fail kept
  tried=$2 seconds=$3 token=$4
  write_state
  close_esp
  again
}

# The answer is heard before the connection ends.
again() {
  echo again
  reboot
}

keep() {
  open_esp rw "$1"
  read_state
  [ "$started $token" = "$2 $3" ] || fail changed
  kept=$2 tried=-
  write_state
  close_esp
  # What watches a tried system looks for it (plan/recipes/loader/loader.cr).
  : >/run/kept
  echo kept
}

unmark() {
  open_esp rw "$1"
  read_state
  tried=-
  write_state
  close_esp
}

process() {
  sv status "/run/service/$1" | sed -n 's/^run: [^(]*(pid \([0-9]*\)).*/\1/p'
}

# Whether somebody listens on the TCP port $1 (proc_pid_net(5); 0A is LISTEN).
listens() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    grep -q "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$1") [0-9A-F:]* 0A "
}

well() {
  service=$1
  shift
  tries=30
  until before=$(process "$service") && [ -n "$before" ]; do
    [ $((tries -= 1)) -gt 0 ] || break
    sleep 1
  done
  sleep 10
  if [ -z "$before" ] || [ "$(process "$service")" != "$before" ]; then
    tail -n 15 /var/log/machine/current | sed 's/^/log /'
    fail down
  fi
  for port; do
    listens "$port" || fail silent "$port"
  done
}

[ -r /etc/bq2/image.json ] || fail foreign
exec 9>/run/push.lock
flock -n 9 || fail busy "another update runs"
# A step whose ssh is gone ends at its next word, by SIGPIPE, and leaves what it mounted.
while umount "$disk" 2>/dev/null; do :; done
step=$1
shift
"$step" "$@"
