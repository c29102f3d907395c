#!/bin/sh
# A day with keys: made, put into an agent, certified, locked, forgotten. The programs are those
# that PATH finds first: OpenSSH's or ours. The server is OpenSSH's.
#
# In the environment: SSHD, PORT, and what that server wants in its configuration, SSHD_CONFIG.
# The working directory is empty.
set -eu
here=$PWD
user=$(id -un)

fail() {
    echo "FAILED: $*"
    for log in said sshd.log; do
        echo "--- $log"
        tail -n 30 "$log" || true
    done
    exit 1
}

# Runs a command, which has to succeed, and notes what it says.
must() {
    "$@" >said 2>&1 || fail "$*"
}

# Runs a command, which has to fail with this code.
must_fail() {
    expected=$1
    shift
    code=0
    "$@" >said 2>&1 || code=$?
    test $code -eq "$expected" || fail "$* ended with $code, not $expected"
}

# A login with what the agent holds, or, with "-i", with a key of a file.
login() {
    ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o IdentityFile=none \
        -o UserKnownHostsFile="$here/known_hosts" -o GlobalKnownHostsFile=none \
        -o User="$user" -o Port="$PORT" "$@" 127.0.0.1 echo in </dev/null
}

can_log_in() {
    must login "$@"
    test "$(tail -n 1 said)" = in || fail "the command said something else"
    echo "ok: $step"
}

cannot_log_in() {
    must_fail 255 login "$@"
    echo "ok: $step"
}

# Some versions write notes on the hosts too.
scan() {
    ssh-keyscan "$@" -p "$PORT" 127.0.0.1 2>said | grep -v '^#' >known_hosts
    test "$(wc -l <known_hosts)" -eq 3 || fail "keyscan did not find three keys"
}

agent_is_empty() {
    must_fail 1 ssh-add -l
    test "$(cat said)" = "The agent has no identities." || fail "the agent is not empty"
}

# Names the private keys whose owner may log in.
allow() {
    : >authorized_keys
    for name in "$@"; do
        cat "$name.pub" >>authorized_keys
    done
}

# Answers the next questions for a passphrase.
answer() {
    printf '#!/bin/sh\necho "%s"\n' "$1" >askpass
    chmod 700 askpass
    export SSH_ASKPASS="$here/askpass" SSH_ASKPASS_REQUIRE=force
}

clean_up() {
    test ! -e sshd.pid || kill "$(cat sshd.pid)" || true
    test -z "${SSH_AGENT_PID:-}" || kill "$SSH_AGENT_PID" || true
}
trap clean_up EXIT

# Arguments of ssh-keygen for each kind of key.
kinds="ed25519 ecdsa-256 ecdsa-384 ecdsa-521 rsa-3072"
make_key() {
    case $1 in
    *-*) must ssh-keygen -q -t "${1%-*}" -b "${1#*-}" -N "$3" -C "$2" -f "$2" ;;
    *) must ssh-keygen -q -t "$1" -N "$3" -C "$2" -f "$2" ;;
    esac
}

for kind in $kinds; do
    make_key "$kind" "id_$kind" ""
done
for kind in ed25519 ecdsa-256 rsa-3072; do
    make_key "$kind" "host_$kind" ""
done
make_key ed25519 ca ""
make_key ed25519 id_closed "some words"

cat >sshd_config <<CONFIG
$SSHD_CONFIG
Port $PORT
ListenAddress 127.0.0.1
HostKey $here/host_ed25519
HostKey $here/host_ecdsa-256
HostKey $here/host_rsa-3072
AuthorizedKeysFile $here/authorized_keys
TrustedUserCAKeys $here/ca.pub
PidFile $here/sshd.pid
SetEnv HOME=$here
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
CONFIG
must "$SSHD" -f "$here/sshd_config" -E "$here/sshd.log"
tries=0
until grep -q "Server listening" sshd.log; do
    tries=$((tries + 1))
    test $tries -lt 200 || fail "sshd does not listen"
    sleep 0.05
done

step="each host key that keyscan finds is one that ssh knows"
scan
allow id_ed25519
for algorithm in ssh-ed25519 ecdsa-sha2-nistp256 rsa-sha2-512 rsa-sha2-256; do
    can_log_in -i id_ed25519 -o HostKeyAlgorithms=$algorithm
done

step="hashed names are found again, and a host that was removed is not trusted"
scan -H
! grep -q 127.0.0.1 known_hosts || fail "names are not hashed"
can_log_in -i id_ed25519
must ssh-keygen -F "[127.0.0.1]:$PORT" -f known_hosts
must ssh-keygen -R "[127.0.0.1]:$PORT" -f known_hosts
cannot_log_in -i id_ed25519
scan

eval "$(ssh-agent -s)" >said
agent_is_empty

for kind in $kinds; do
    key=id_$kind
    step="a key of the kind $kind lets in from the agent, until it is removed"
    allow "$key"
    must ssh-add "$key"
    must ssh-add -l
    listed=$(cat said)
    must ssh-keygen -l -f "$key.pub"
    test "$listed" = "$(cat said)" || fail "add and keygen describe the key otherwise"
    must ssh-add -L
    test "$(cat said)" = "$(cat "$key.pub")" || fail "the agent shows another key"
    must ssh-add -T "$key.pub"
    can_log_in
    must ssh-add -d "$key"
    agent_is_empty
    must_fail 1 ssh-add -T "$key.pub"
    cannot_log_in
done

step="of all keys in the agent, ssh finds the one that lets in; none is left after -D"
allow id_ecdsa-384
for kind in $kinds; do
    must ssh-add -q "id_$kind"
done
must ssh-add -l
test "$(wc -l <said)" -eq 5 || fail "there are not five keys"
can_log_in
must ssh-add -D
agent_is_empty
cannot_log_in

step="a key with a passphrase is opened, and its passphrase changed"
allow id_closed
answer "other words"
must_fail 255 ssh-keygen -y -P "other words" -f id_closed
answer "some words"
must ssh-add id_closed
can_log_in
must ssh-add -D
must ssh-keygen -q -p -P "some words" -N "new words" -f id_closed
answer "new words"
must ssh-add id_closed
can_log_in

step="a locked agent shows and signs nothing, until it is unlocked"
answer "a lock"
must ssh-add -x
agent_is_empty
cannot_log_in
answer "not the lock"
must_fail 1 ssh-add -X
agent_is_empty
answer "a lock"
must ssh-add -X
can_log_in
must ssh-add -D

step="a key goes when its time is over"
allow id_ed25519
must ssh-add -t 1h id_ed25519
can_log_in
must ssh-add -t 1s id_ed25519
tries=0
while ssh-add -l >said 2>&1; do
    tries=$((tries + 1))
    test $tries -lt 100 || fail "the key is still there"
    sleep 0.1
done
cannot_log_in

for kind in $kinds; do
    key=id_$kind
    step="a certificate over a key of the kind $kind lets in from the agent, as the key does not"
    allow
    must ssh-add -q "$key"
    cannot_log_in
    must ssh-keygen -q -s ca -I "$key" -n "$user" -V -5m:+1h "$key.pub"
    must ssh-add "$key"
    must ssh-add -l
    test "$(grep -c -e -CERT said)" -eq 1 || fail "the agent has no certificate"
    must ssh-add -L
    grep -q -x -F "$(cat "$key-cert.pub")" said || fail "the agent shows another certificate"
    must ssh-add -T "$key-cert.pub"
    can_log_in
    must ssh-add -d "$key"
    agent_is_empty
    cannot_log_in
    # Without an agent too.
    can_log_in -i "$key"
    rm "$key-cert.pub"
done

step="an agent that was ended is gone"
must ssh-agent -k
unset SSH_AGENT_PID
must_fail 2 ssh-add -l
cannot_log_in
