#!/bin/bash
# Runs a command in a virtual machine of its own: Debian's kernel over this machine's files, control
# groups of version 2 alone, with all controllers. Nothing that it writes stays. For what many
# machines and containers cannot show; processors are emulated where there is no /dev/kvm, which is
# ten times slower.
#
#   tools/vm.sh COMMAND [WORD...]      its output, and its exit code
#
# PAWL_VM_SECONDS: when to give up (1800). PAWL_VM_FOLDER: where kernel and start are kept (build/vm).
# Needs qemu-system-x86, busybox-static, kmod and cpio; `./dev vm` installs them.
set -u -o pipefail

[ $# -gt 0 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
folder=$(realpath -m "${PAWL_VM_FOLDER:-$root/build/vm}")
readonly root folder
readonly memory_mib=3072
readonly modules=(virtio_pci 9pnet_virtio 9p overlay)

fail() {
  printf 'vm: %s\n' "$*" >&2
  exit 1
}

# The kernel of Debian's package, not installed: this machine never starts it.
fetch_kernel() {
  mkdir -p "$folder/kernel" && cd "$folder/kernel" || fail "cannot write $folder"
  local package
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')
  [ -n "$package" ] || fail "linux-image-amd64 is not known: apt-get update"
  apt-get download -qq "$package" 2>/dev/null || fail "cannot download $package"
  dpkg-deb -x "$package"_*.deb . && rm -f "$package"_*.deb || fail "cannot unpack $package"
}

# A file system in memory that mounts this machine's files and goes on in them.
make_start() {
  local version start=$folder/start name
  version=$(basename "$(ls -d "$folder"/kernel/lib/modules/*)")
  rm -rf "$start"
  mkdir -p "$start"/{bin,dev,proc,sys,host,out,upper,whole} "$start/modules"
  cp "$(command -v busybox)" "$start/bin/" || fail "busybox-static is missing"
  PATH=$PATH:/sbin:/usr/sbin
  depmod -b "$folder/kernel" "$version" || fail "depmod failed"
  for name in "${modules[@]}"; do
    modprobe -d "$folder/kernel" -S "$version" --show-depends "$name"
  done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' >"$folder/modules"
  while IFS= read -r name; do cp "$name" "$start/modules/"; done <"$folder/modules"
  sed 's|.*/||' "$folder/modules" >"$start/modules.list"
  cat >"$start/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for name in $($b cat /modules.list); do $b insmod /modules/$name; done
nine=trans=virtio,version=9p2000.L,msize=262144
$b mount -t 9p -o $nine,ro,cache=loose host /host
$b mount -t tmpfs -o size=50% upper /upper
$b mkdir /upper/files /upper/work
$b mount -t overlay -o lowerdir=/host,upperdir=/upper/files,workdir=/upper/work all /whole
$b mount --move /dev /whole/dev
$b mount -t proc proc /whole/proc
$b mount -t sysfs sys /whole/sys
$b mount -t cgroup2 groups /whole/sys/fs/cgroup
for name in tmp run mnt; do $b mount -t tmpfs $name /whole/$name; done
$b mount -t 9p -o $nine out /whole/mnt
$b ip link set lo up
exec $b switch_root /whole /bin/bash /mnt/inside
INIT
  chmod +x "$start/init"
  (cd "$start" && find . | cpio -o -H newc --quiet | gzip) >"$folder/start.gz" || fail "cpio failed"
}

command -v qemu-system-x86_64 >/dev/null || fail "qemu-system-x86 is missing"
compgen -G "$folder/kernel/boot/vmlinuz-*" >/dev/null || (fetch_kernel) || exit
if [ ! -f "$folder/start.gz" ] || [ "${BASH_SOURCE[0]}" -nt "$folder/start.gz" ]; then make_start; fi

out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
{
  printf 'export PATH=%q HOME=/root LANG=C.UTF-8\n' "$PATH:/usr/sbin:/sbin"
  printf 'mkdir -p /dev/pts /dev/shm && mount -t devpts pts /dev/pts && mount -t tmpfs shm /dev/shm\n'
  # Who is in the root of the groups may still hand controllers down from it.
  printf 'for name in $(cat /sys/fs/cgroup/cgroup.controllers); do\n'
  printf '  echo "+$name" >/sys/fs/cgroup/cgroup.subtree_control\ndone 2>/dev/null\n'
  printf 'cd %q && (' "$PWD"
  printf '%q ' "$@"
  printf ') </dev/null\necho $? >/mnt/code\nsync\necho o >/proc/sysrq-trigger\nsleep 60\n'
} >"$out/inside"

processor=(-accel 'tcg,thread=multi' -cpu max)
if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then processor=(-accel kvm -cpu host); fi
timeout "${PAWL_VM_SECONDS:-1800}" qemu-system-x86_64 -machine q35 "${processor[@]}" \
  -smp "$(nproc)" -m "$memory_mib" -display none -monitor none -serial stdio -no-reboot \
  -kernel "$(ls "$folder"/kernel/boot/vmlinuz-*)" -initrd "$folder/start.gz" \
  -append 'console=ttyS0 quiet loglevel=1 panic=-1' \
  -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
  -virtfs "local,path=$out,mount_tag=out,security_model=none" </dev/null
[ -s "$out/code" ] || fail "it ended before the command did"
exit "$(cat "$out/code")"
