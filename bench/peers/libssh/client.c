/* What `cargo xtask bench` has libssh do: its asynchronous SFTP with 64 requests under way, as its
 * own documentation has it. The command line is in bench/src/peers/library.rs. */

#include <dirent.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH 64
#define PIECE (256 * 1024)

static int port;
static const char *user;
static ssh_key key;

static void fail(const char *what, ssh_session session)
{
    fprintf(stderr, "%s: %s\n", what, session ? ssh_get_error(session) : "");
    exit(1);
}

static ssh_session login(void)
{
    ssh_session session = ssh_new();
    int off = 0, nodelay = 1;
    if (!session)
        fail("ssh_new", NULL);
    ssh_options_set(session, SSH_OPTIONS_HOST, "127.0.0.1");
    ssh_options_set(session, SSH_OPTIONS_PORT, &port);
    ssh_options_set(session, SSH_OPTIONS_USER, user);
    ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &off);
    ssh_options_set(session, SSH_OPTIONS_NODELAY, &nodelay);
    if (ssh_connect(session) != SSH_OK)
        fail("connect", session);
    if (ssh_userauth_publickey(session, NULL, key) != SSH_AUTH_SUCCESS)
        fail("login", session);
    return session;
}

static void leave(ssh_session session)
{
    ssh_disconnect(session);
    ssh_free(session);
}

static sftp_session files(ssh_session session)
{
    sftp_session sftp = sftp_new(session);
    if (!sftp || sftp_init(sftp) != SSH_OK)
        fail("sftp", session);
    return sftp;
}

static void write_all(int file, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(file, bytes, count);
        if (written <= 0) {
            perror("write");
            exit(1);
        }
        bytes += written;
        count -= written;
    }
}

static void get(ssh_session session, sftp_session sftp, const char *from, const char *to)
{
    sftp_file remote = sftp_open(sftp, from, O_RDONLY, 0);
    int local = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    sftp_limits_t limits = sftp_limits(sftp);
    sftp_attributes attributes;
    sftp_aio queue[DEPTH];
    uint64_t size, asked = 0, came = 0;
    size_t piece = PIECE;
    unsigned head = 0, tail = 0;
    char *buffer;

    if (!remote || local < 0)
        fail("open", session);
    if (!(attributes = sftp_fstat(remote)))
        fail("fstat", session);
    size = attributes->size;
    sftp_attributes_free(attributes);
    if (limits && limits->max_read_length && limits->max_read_length < piece)
        piece = limits->max_read_length;
    sftp_limits_free(limits);
    buffer = malloc(piece);
    while (came < size) {
        ssize_t count;
        while (asked < size && tail - head < DEPTH) {
            size_t want = size - asked < piece ? size - asked : piece;
            count = sftp_aio_begin_read(remote, want, &queue[tail % DEPTH]);
            if (count < 0)
                fail("begin read", session);
            asked += count;
            tail++;
        }
        count = sftp_aio_wait_read(&queue[head++ % DEPTH], buffer, piece);
        if (count <= 0)
            fail("read", session);
        write_all(local, buffer, count);
        came += count;
    }
    free(buffer);
    close(local);
    if (sftp_close(remote) != SSH_OK)
        fail("close", session);
}

static void put(ssh_session session, sftp_session sftp, const char *from, const char *to)
{
    int local = open(from, O_RDONLY);
    sftp_file remote = sftp_open(sftp, to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    sftp_limits_t limits = sftp_limits(sftp);
    sftp_aio queue[DEPTH];
    size_t piece = PIECE;
    unsigned head = 0, tail = 0;
    int more = 1;
    char *buffer;

    if (!remote || local < 0)
        fail("open", session);
    if (limits && limits->max_write_length && limits->max_write_length < piece)
        piece = limits->max_write_length;
    sftp_limits_free(limits);
    buffer = malloc(piece);
    while (more || head != tail) {
        while (more && tail - head < DEPTH) {
            ssize_t count = read(local, buffer, piece);
            if (count < 0)
                fail("local read", NULL);
            if (count == 0) {
                more = 0;
            } else {
                if (sftp_aio_begin_write(remote, buffer, count, &queue[tail % DEPTH]) != count)
                    fail("begin write", session);
                tail++;
            }
        }
        if (head != tail && sftp_aio_wait_write(&queue[head++ % DEPTH]) < 0)
            fail("write", session);
    }
    free(buffer);
    close(local);
    if (sftp_close(remote) != SSH_OK)
        fail("close", session);
}

static void join(char *path, size_t size, const char *folder, const char *name)
{
    if (snprintf(path, size, "%s/%s", folder, name) >= (int)size)
        fail("name too long", NULL);
}

static void get_many(ssh_session session, sftp_session sftp, const char *from, const char *to)
{
    sftp_dir folder = sftp_opendir(sftp, from);
    sftp_attributes entry;
    char remote[4096], local[4096];
    if (!folder || mkdir(to, 0700) != 0)
        fail("folder", session);
    while ((entry = sftp_readdir(sftp, folder))) {
        if (entry->name[0] != '.') {
            join(remote, sizeof remote, from, entry->name);
            join(local, sizeof local, to, entry->name);
            get(session, sftp, remote, local);
        }
        sftp_attributes_free(entry);
    }
    sftp_closedir(folder);
}

static void put_many(ssh_session session, sftp_session sftp, const char *from, const char *to)
{
    DIR *folder = opendir(from);
    struct dirent *entry;
    char remote[4096], local[4096];
    if (!folder || sftp_mkdir(sftp, to, 0700) != 0)
        fail("folder", session);
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] != '.') {
            join(local, sizeof local, from, entry->d_name);
            join(remote, sizeof remote, to, entry->d_name);
            put(session, sftp, local, remote);
        }
    }
    closedir(folder);
}

static ssh_channel start(ssh_session session, const char *command)
{
    ssh_channel channel = ssh_channel_new(session);
    if (!channel || ssh_channel_open_session(channel) != SSH_OK)
        fail("channel", session);
    if (ssh_channel_request_exec(channel, command) != SSH_OK)
        fail("exec", session);
    return channel;
}

static void finish(ssh_session session, ssh_channel channel, int show)
{
    static char buffer[PIECE];
    uint32_t status = 1;
    int count;
    while ((count = ssh_channel_read(channel, buffer, sizeof buffer, 0)) > 0) {
        if (show)
            write_all(1, buffer, count);
    }
    if (count < 0)
        fail("read", session);
    if (ssh_channel_get_exit_state(channel, &status, NULL, NULL) != SSH_OK || status != 0)
        fail("status", session);
    ssh_channel_close(channel);
    ssh_channel_free(channel);
}

static void run(ssh_session session, const char *command)
{
    finish(session, start(session, command), 0);
}

static void send_file(ssh_session session, const char *command, const char *file)
{
    static char buffer[PIECE];
    ssh_channel channel = start(session, command);
    int local = open(file, O_RDONLY);
    ssize_t count;
    while ((count = read(local, buffer, sizeof buffer)) > 0) {
        if (ssh_channel_write(channel, buffer, count) != count)
            fail("write", session);
    }
    close(local);
    ssh_channel_send_eof(channel);
    finish(session, channel, 0);
}

/* Opens them one after the other, since libssh can only wait for each, and lets them run together. */
static void at_once(ssh_session session, int count)
{
    ssh_channel *channels = calloc(count, sizeof *channels);
    for (int i = 0; i < count; i++)
        channels[i] = start(session, "true");
    for (int i = 0; i < count; i++)
        finish(session, channels[i], 0);
    free(channels);
}

static void idle(int count)
{
    ssh_session *sessions = calloc(count, sizeof *sessions);
    char line[256];
    FILE *status;
    for (int i = 0; i < count; i++)
        sessions[i] = login();
    sleep(1);
    status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            printf("%ld\n", atol(line + 6));
    }
    free(sessions);
}

int main(int argc, char **argv)
{
    const char *work = argc > 4 ? argv[4] : "";
    const char *a = argc > 5 ? argv[5] : "", *b = argc > 6 ? argv[6] : "";
    ssh_session session;

    if (argc < 5)
        fail("usage: client PORT USER KEY WORK...", NULL);
    ssh_init();
    port = atoi(argv[1]);
    user = argv[2];
    if (ssh_pki_import_privkey_file(argv[3], NULL, NULL, NULL, &key) != SSH_OK)
        fail("key", NULL);

    if (strcmp(work, "fresh") == 0) {
        for (int i = atoi(a); i > 0; i--) {
            session = login();
            run(session, "true");
            leave(session);
        }
        return 0;
    }
    if (strcmp(work, "idle") == 0) {
        idle(atoi(a));
        return 0;
    }
    session = login();
    if (strcmp(work, "get") == 0)
        get(session, files(session), a, b);
    else if (strcmp(work, "put") == 0)
        put(session, files(session), a, b);
    else if (strcmp(work, "get-many") == 0)
        get_many(session, files(session), a, b);
    else if (strcmp(work, "put-many") == 0)
        put_many(session, files(session), a, b);
    else if (strcmp(work, "exec-out") == 0)
        run(session, a);
    else if (strcmp(work, "exec-in") == 0)
        send_file(session, a, b);
    else if (strcmp(work, "sequential") == 0)
        for (int i = atoi(a); i > 0; i--)
            run(session, "true");
    else if (strcmp(work, "at-once") == 0)
        at_once(session, atoi(a));
    else if (strcmp(work, "first-byte") == 0)
        finish(session, start(session, "echo x"), 1);
    else
        fail("unknown work", NULL);
    leave(session);
    return 0;
}
