# shellcheck shell=bash
# Sourced by rawlab, test and install: where this clone's venv is, and how it is made.
#
# A venv holds a stamp, written last, that says what it was made from: the clone's place and pyproject.toml.
# A set-up killed half-way, a moved clone and a changed list of dependencies all end the same way: the stamp
# isn't the wanted one, and the venv is made anew. The venv's python is a link to its interpreter's real,
# versioned path (/usr/bin/python3.11): with another Python on the machine, the link dangles.
#
# Reads `root`, the clone's folder. Sets `venv`, its venv.

as=()  # what stands before a command to run it as the venv's owner
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
pythons=(python3 python3.{14..11})

say() { echo "rawlab: $*" >&2; }
die() { say "$@"; exit 1; }

# Leaves a whole venv with the extra $1 (none: what rawlab runs with) in `venv`.
venv_ensure() {
    venv=$root/.venv
    venv_is_fresh "${1-}" && return
    venv_place
    venv_is_fresh "${1-}" || venv_make "${1-}"
}

# Starts no process: every run comes through here.
venv_is_fresh() {
    local stamp=$venv/rawlab${1:+-$1}.stamp made=''
    wanted=''
    IFS= read -rd '' wanted <"$root/pyproject.toml" || :
    wanted=$root$'\n'$wanted
    [[ -x $venv/bin/python && -r $stamp ]] || return
    IFS= read -rd '' made <"$stamp" || :
    [[ $made == "$wanted" ]]
}

# In the clone where that can be written, else in the caller's cache. Root makes a user's venv as that user:
# `sudo scripts/rawlab` leaves nothing of root's behind.
venv_place() {
    ((EUID)) || become "$(stat -c %u "$root")"
    "${as[@]}" test -w "$root" && return
    ((EUID)) || become "${SUDO_UID:-0}"
    local hash
    read -r hash _ < <(sha256sum <<<"$root")
    venv=$cache/rawlab/${hash:0:16}
}

become() {
    as=()
    [[ $1 == "$EUID" ]] && return
    local name gid home groups=--init-groups
    IFS=: read -r name _ _ gid _ home _ < <(getent passwd "$1") ||
        { name=$1 gid=$(stat -c %g "$root") home=/nonexistent groups=--clear-groups; }
    cache=$home/.cache
    as=(setpriv --reuid "$1" --regid "$gid" "$groups"
        env -u XDG_CACHE_HOME -u TMPDIR HOME="$home" USER="$name" LOGNAME="$name")
}

# Two first runs at once: the second waits, and finds the first one's venv.
venv_make() (
    cd /  # the owner may not enter root's current folder
    "${as[@]}" mkdir -p "${venv%/*}" && "${as[@]}" touch "$venv.lock" ||
        die "can write neither $root nor ${venv%/*}: name a folder for the venv by XDG_CACHE_HOME=…"
    exec 9<>"$venv.lock"
    flock -n 9 || { say "waiting for another run that is making $venv …"; flock 9; }
    venv_is_fresh "$1" && exit

    say "first run: making $venv (about 20 s) …"
    "${as[@]}" rm -f "$venv"/rawlab*.stamp  # first: what is half deleted isn't whole either
    venv_build "$venv" --editable "$root${1:+[$1]}"
    # Run by root, rawlab writes no bytecode into a user's clone: what is there by now is all it will find.
    [[ $venv != "$root/.venv" ]] || "${as[@]}" "$venv/bin/python" -I -m compileall -q "$root/rawlab" || :
    printf %s "$wanted" | "${as[@]}" tee "$venv/rawlab.stamp" ${1:+"$venv/rawlab-$1.stamp"} >/dev/null
)

# venv_build FOLDER PIP-ARGUMENT…
venv_build() {
    local folder=$1 python log
    python=$(find_python) || { get_python && python=$(find_python); } ||
        die "none of ${pythons[*]} is a Python 3.11 or newer with venv"
    # Here as in rawlab, neither the current folder (-I) nor these may change what runs; pip's children
    # aren't started with -I.
    unset PYTHONPATH PYTHONHOME
    log=$("${as[@]}" "$python" -I -m venv --clear "$folder" 2>&1 &&
        "${as[@]}" "$folder/bin/python" -I -m pip install --quiet --no-input --no-user \
            --disable-pip-version-check "${@:2}" 2>&1) ||
        die "making $folder failed:"$'\n'"$log"
}

# Prints the real path of the first Python that is new enough and can make a venv with pip.
find_python() {
    local name
    for name in "${pythons[@]}"; do
        "${as[@]}" "$name" -I -c '
import os, sys
assert sys.version_info >= (3, 11)
import venv, ensurepip; ensurepip.version()  # Debian has them in a package of their own
print(os.path.realpath(sys.executable))' 2>/dev/null && return
    done
    return 1
}

get_python() {
    local name package=python3-venv
    command -v python3 >/dev/null && package=python3.11-venv  # Ubuntu 22.04's own python3 is 3.10
    for name in "${pythons[@]}"; do
        "${as[@]}" "$name" -I -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null || continue
        package=$name-venv
        break
    done
    apt_install "$package" || die "needs Python 3.11 or newer with venv: sudo apt-get install -y $package"
}

# Installs Debian packages as root, or by sudo where that asks nothing. No service of theirs is started (invoke-rc.d(8)).
apt_install() {
    local sudo=() log
    command -v apt-get >/dev/null || return
    ((EUID == 0)) || { sudo -n true 2>/dev/null || return; sudo=(sudo -n); }
    say "installing $* …"
    log=$("${sudo[@]}" bash -c '
        policy=/usr/sbin/policy-rc.d
        if [[ ! -e $policy ]]; then
            trap "rm -f $policy" EXIT
            printf "#!/bin/sh\nexit 101\n" >"$policy" && chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && apt-get -qq install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
    ' apt_install "$@" 2>&1 9>&-) || { say "apt-get failed:"$'\n'"$log"; return 1; }
}
