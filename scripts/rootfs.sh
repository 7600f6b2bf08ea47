#!/bin/sh
# Puts together the image's root file system out of Debian packages and ONNX Runtime's library.
#
#   rootfs.sh PACKAGES ONNXRUNTIME ROOT
#
# PACKAGES is a directory of .deb files, ONNXRUNTIME what onnxruntime.sh made. The same input makes
# the same files, all of 1970. Runs in the Dockerfile, as root.
set -eu
umask 022

packages=$1 onnxruntime=$2 root=$3
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT

# Debian's merged /usr, which packages rely on.
for dir in bin lib lib64 sbin; do
    for tree in "$all" "$root"; do
        mkdir -p "$tree/usr/$dir"
        ln -s "usr/$dir" "$tree/$dir"
    done
done

cd "$root"
mkdir -p dev etc/ssl/certs proc run sys tmp usr/local/lib \
    usr/share/doc/onnxruntime var/cache/flowgate var/lib/dpkg/status.d var/lib/flowgate var/tmp
chmod 1777 tmp var/tmp

# Scanners read from status.d what is inside, as in distroless images.
for package in "$packages"/*.deb; do
    name=$(dpkg-deb --field "$package" Package)
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$all" --keep-directory-symlink
    dpkg-deb --field "$package" >"var/lib/dpkg/status.d/$name"
    mkdir -p "usr/share/doc/$name"
    cp -L "$all/usr/share/doc/$name/copyright" "usr/share/doc/$name/"
done

# The loader and the libraries. glibc's converters of character sets stay behind: those between
# the Unicode forms are built in.
(
    cd "$all"
    for file in usr/lib/*-linux-gnu/*.so* usr/lib/ld-linux* usr/lib64/ld-linux* \
        usr/lib/os-release etc/debian_version; do
        if [ -e "$file" ] || [ -L "$file" ]; then
            cp -a --parents "$file" "$root"
        fi
    done
)
ln -s ../usr/lib/os-release etc/os-release

# What update-ca-certificates makes of the package.
find "$all/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort |
    xargs -d '\n' awk 1 >etc/ssl/certs/ca-certificates.crt

# ONNX Runtime's StringNormalizer asks for this locale by name.
mkdir -p usr/lib/locale
I18NPATH=$all/usr/share/i18n localedef --no-archive --prefix="$root" \
    -i en_US -f UTF-8 en_US.UTF-8

cat >etc/passwd <<'PASSWD'
root:x:0:0:root:/:/sbin/nologin
nonroot:x:65532:65532:nonroot:/var/lib/flowgate:/sbin/nologin
PASSWD
printf 'root:x:0:\nnonroot:x:65532:\n' >etc/group
echo 'hosts: files dns' >etc/nsswitch.conf
chown 65532:65532 var/cache/flowgate var/lib/flowgate

library=$(cd "$onnxruntime" && echo libonnxruntime.so.*)
install -m 755 "$onnxruntime/$library" usr/local/lib/
ln -s "$library" usr/local/lib/libonnxruntime.so
install -m 644 -t usr/share/doc/onnxruntime "$onnxruntime/LICENSE" \
    "$onnxruntime/ThirdPartyNotices.txt"

find . -exec touch -h -d @0 {} +
