#!/bin/sh
# pod.sh FOLDER COMMAND...: in a mount namespace of its own (`ip netns exec` made it), a root that is thrown away, with
# the pod's files: each line of FOLDER/mounts is `SOURCE TARGET`; FOLDER/hosts are the names it knows. Then COMMAND, in there, in the place of this shell.
set -e
folder=$1; shift
mount -t tmpfs tmpfs /mnt
for one in usr lib lib64 bin sbin dev proc sys; do
  [ -e "/$one" ] || continue
  mkdir -p "/mnt/$one"; mount --rbind "/$one" "/mnt/$one"
done
mkdir -p /mnt/etc /mnt/root /mnt/var /mnt/run
mkdir -m 1777 /mnt/tmp
cp /etc/nsswitch.conf /etc/passwd /etc/group /mnt/etc/ 2>/dev/null || true
cp "$folder/hosts" /mnt/etc/hosts
: > /mnt/etc/resolv.conf
while read -r source target; do
  if [ -d "$source" ]; then mkdir -p "/mnt$target"; else mkdir -p "$(dirname "/mnt$target")"; : > "/mnt$target"; fi
  mount --bind "$source" "/mnt$target"
done < "$folder/mounts"
exec /usr/sbin/chroot /mnt "$@"
