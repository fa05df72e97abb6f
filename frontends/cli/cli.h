/* SPDX-License-Identifier: MIT */
/* The vcpu program: declarations for its files. It uses the library only through <vcpu.h>. */
#ifndef CLI_H
#define CLI_H

#include <poll.h>

#include <vcpu.h>
#include <vcpu_replay.h>

#include "control_socket.h"

/* Exit statuses. Odd ones are the guest's own, (value << 1) | 1 through the debug-exit port, so ours are all even. */
enum status {
	STATUS_OK = 0,            /* the guest switched the machine off; or a command without a run succeeded */
	STATUS_USAGE = 2,         /* bad usage, or a file that cannot be read or is not valid */
	STATUS_TRIPLE_FAULT = 4,
	STATUS_LIMIT = 6,         /* --limit or --limit-time was reached */
	STATUS_HOST = 8,          /* the host failed: out of memory, output that cannot be written */
	STATUS_QUIT = 10,         /* Ctrl-A X */
	STATUS_HALT = 12,         /* the guest halted, and nothing can wake it */
	STATUS_DIVERGED = 14,     /* a replay differed from its recording */
	STATUS_UNMET = 16,        /* the run ended before an --expect matched */
	STATUS_FOUND = 18,        /* explore found a run that fails */
	STATUS_MAGIC = 20,        /* --magic-break: the guest was to execute XCHG BX,BX */
};

struct run_options;

/* A window, for programs that have one. */
struct face {
	bool (*open)(vcpu *machine, const struct run_options *o);  /* false, having complained: there can be none */
	/* After each slice: show, hear; the machine can do without being run for WAIT ns of the host's time (-1: until
	 * something comes in). False: the person has had enough. */
	bool (*step)(vcpu *machine, int64_t wait);
	void (*sound)(const void *data, size_t len);
	void (*close)(void);
};

struct run_options {
	struct vcpu_config config; /* without output and user: run_machine has its own */
	struct vcpu_drive drives[VCPU_DRIVES]; /* config.drives */
	const char *loads[VCPU_LOADS];         /* config.loads */
	char model[1024];                      /* config.cpu with the feature of --paravirt */
	bool paravirt;
	/* the channel's bytes go to: "stdio", "null", "file:PATH", COM1 to COM4 also "pty" or "unix:PATH"; NULL:
	 * nowhere */
	const char *where[VCPU_CHANNELS];
	bool text;                 /* --display text */
	bool realtime;             /* virtual time is held back to the host's */
	const struct face *face;   /* NULL: none */
	bool full_screen;          /* for it */
	unsigned scale;            /* 0: 1 */
	const char *screenshot;    /* a file for the picture at the end; NULL: none */
	uint64_t limit;            /* instructions, and those for which it could sleep; 0: none */
	uint64_t limit_time;       /* virtual ns; 0: none */
	const char *net, *pcap;    /* as in common/net.h; NULL: none */
	const char *share;         /* as in common/share.h; NULL: none */
	bool stats;
	bool verbose;              /* VCPU_LOG lines to stderr */
	const char *gdb;           /* where to wait for gdb, as in common/gdb.h; NULL: nowhere */
	bool gdb_files;            /* its monitor commands may open files */
	const char *controls[CONTROL_SOCKETS]; /* where to be controlled, as in common/control_socket.h */
	unsigned ncontrols;
	bool magic;                /* XCHG BX,BX is a breakpoint: gdb's, or it ends the run */
	unsigned log;              /* LOG_* and VCPU_EVENT_*: what to log; */
	const char *log_file;      /* NULL: on stderr */
	const char *record;        /* file for a recording; NULL: none */
	bool embed;
	vcpu_replay *replay;       /* run this, not CONFIG; NULL: CONFIG */
	bool live;                 /* after its end, go on with the terminal */
	bool replays;              /* a recording names the files to open, for reading; */
	bool connects;             /* and which network block devices are connected to */
	bool no_sandbox;
};

/* options.c: fill *O from the command line of a command that runs a machine. True: go on. False: stop with *STATUS;
 * what there is to say has been said. DEMO: no options that choose what to boot. */
bool options_parse(struct run_options *o, int argc, char **argv, bool demo, int *status);
/* Bytes from "256M"; false if it is no number, has another suffix than K, M, G, T, or does not fit 64 bits. */
bool options_size(const char *text, uint64_t *size);

/* A number given for --OPTION; a place for bytes, "stdio", "null" or "file:PATH". False, having complained, if TEXT is
 * none. */
bool options_number(const char *option, const char *text, uint64_t *n);
bool options_time(const char *option, const char *text, uint64_t *ns); /* "30s"; more than 0 */
bool options_place(const char *option, const char *text);
/* With gdb on standard input and output, discard the bytes of the channels that would be there. */
void options_stdio(struct run_options *o);
bool options_engine(const char *option, const char *text, enum vcpu_engine *engine);

/* The limits of O that are times become MACHINE's, whose instructions take NS_Q16 (as in its configuration). */
void options_limit_time(const struct run_options *o, vcpu *machine, uint64_t ns_q16);

/* recording.c: a recording to be repeated. It may open what vcpu_replay_machine says, and what these options name: the
 * five go into a table for getopt_long, and their values to recording_option. */
#define RECORDING_MOVES 32
struct recording {
	vcpu_replay *replay;
	struct vcpu_replay_files files;
	struct vcpu_moved moves[RECORDING_MOVES];
	void *data;
};
enum { RECORDING_PATH = 512, RECORDING_ALLOW_NBD, RECORDING_KERNEL, RECORDING_INITRD, RECORDING_BIOS };
#define RECORDING_OPTIONS \
	{ "path", required_argument, NULL, RECORDING_PATH }, { "allow-nbd", no_argument, NULL, RECORDING_ALLOW_NBD }, \
	{ "kernel", required_argument, NULL, RECORDING_KERNEL }, \
		{ "initrd", required_argument, NULL, RECORDING_INITRD }, \
	{ "bios", required_argument, NULL, RECORDING_BIOS }
#define RECORDING_HELP \
	"      --path=OLD=NEW    use NEW for the file or folder that the recording calls OLD; may repeat\n" \
	"      --kernel=FILE, --initrd=FILE, --bios=FILE   use these files for the recorded ones\n" \
	"      --allow-nbd       connect to the network block devices of the recording\n"
#define RECORDING_HINT "--path OLD=NEW tells where a file is now, --allow-nbd lets it connect"
/* VALUE is kept. False, having complained. */
bool recording_option(struct recording *r, int c, char *value);
/* The whole file NAME, malloc'd, or NULL, having complained. */
void *recording_read(const char *name, size_t *len);
/* Read NAME. False, having complained. */
bool recording_open(struct recording *r, const char *name);
void recording_close(struct recording *r);
bool recording_connects(const struct recording *r); /* it may, to network block devices */

/* run.c: open the outputs and enter the sandbox as far as possible, before an untrusted file is read. False, having
 * complained. run_machine does it if it is not done yet. */
bool run_outputs(const struct run_options *o);
uint64_t host_ns(void); /* the host's monotonic clock */
/* Build the machine, run it to its end, and report the end. Returns the exit status. */
int run_machine(const struct run_options *o);

/* observed.c: --magic-break and --log. Create the file of the log; observe MACHINE from its first instruction.
 * False, having complained. */
enum { LOG_GUEST_ERRORS = 1u << 31 };
bool observed_outputs(const struct run_options *o);
bool observed_open(const struct run_options *o, vcpu *machine);
bool observed(void);          /* there is something to look for: run it by observed_run */
/* As vcpu_run. *MAGIC: a magic breakpoint has stopped it, and was reported. */
struct vcpu_stop observed_run(uint64_t instructions, bool *magic);
/* The debugger of it, or one of MACHINE that has been made for a look at its end. NULL: there can be none.
 * observed_close frees it. */
struct vcpu_debug *observed_debug(vcpu *machine);
/* A line of the machine's VCPU_LOG. */
void observed_guest_error(const char *text, size_t len);
void observed_close(void);    /* before the machine is freed */
/* "#PF"; "INT" of what is no exception. */
const char *vector_name(unsigned vector);

/* png.c: the picture as it is now into FD, which is closed; NAME is for complaints. False, having complained, if there
 * is none or it cannot be written. */
bool screenshot(const vcpu *machine, int fd, const char *name);

/* confine.c: what O needs when the machine runs; what it needs to be made, too. Enter a layer of the sandbox, and say
 * so where the host does not have it; false, having complained: it cannot be entered. */
struct sandbox;
void confine_later(struct sandbox *s, const struct run_options *o);
void confine_inputs(struct sandbox *s, const struct run_options *o);
bool confine(const struct sandbox *s, bool calls, bool verbose);

/* port.c: serial ports that others connect to; WHERE is "pty" or "unix:PATH". False, having complained. */
#define PORTS 4
bool port_open(enum vcpu_channel channel, const char *option, const char *where);
void port_write(enum vcpu_channel channel, const char *data, size_t len);
void port_work(vcpu *machine);                /* what has come goes to the machine */
unsigned port_fds(struct pollfd fds[PORTS]);  /* what to wait for; returns how many: 0, there are no such ports */
void port_close(void);

/* control.c: --control. Open the sockets; false, having complained. */
bool control_open(const struct run_options *o);
/* From now on there is a MACHINE to control; and no more. */
void control_start(vcpu *machine, const struct run_options *o);
void control_end(void);
/* Answer what has come. BUSY: the machine is in the middle of an instruction, whose output nobody takes. */
void control_work(bool busy);
uint64_t control_limit(void);       /* instructions; 0: none */
bool control_quits(void);           /* the run is to end */
bool control_holds(int64_t *ns);    /* the guest stands, for NS of the host's time; -1: until it is told to go on */
void control_ran(uint64_t since);   /* it has run since that host's time */

/* script.c: --type and --expect. Add a step (TEXT is NULL: --next-medium); false, having complained: it is no regular
 * expression, or there are too many. */
bool script_add(bool expect, const char *text);
/* TEXT as --type has it, at once, in place. False with the machine's error text: there is no room for all of it. */
bool script_type(vcpu *machine, char *text);
/* Output of COM1. */
void script_hear(const char *data, size_t len);
/* After a slice of the run: what can be done of the next steps is done. True: the last step was an expectation and is
 * met; the run ends. */
bool script_step(vcpu *machine);
bool script_waits(void);         /* there are steps left */
const char *script_unmet(void);  /* the first expectation that is left, or NULL */

/* textscreen.c: --display text. HOST_NS is the host's time: a terminal is not redrawn at every slice. */
void textscreen_show(const vcpu *machine, uint64_t host_ns);
void textscreen_keys(vcpu *machine, const char *text, size_t len);
void textscreen_end(const vcpu *machine);

/* The commands: each returns an exit status; argv[0] is the command's name. */
int command_run(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_explore(int argc, char **argv);
int command_isa(int argc, char **argv);

/* One line on stderr: "PROGRAM: ...". */
extern const char *program; /* "vcpu", until somebody sets it */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
/* STATUS; if it is STATUS_OK and what was printed cannot be written, STATUS_HOST, having complained. */
int complain_lost(int status);

/* tty.c, and frontends/windows/tty.c for that host: standard input, raw if it is a terminal and WANT_INPUT. True: it is
 * one, and raw until tty_restore, which is safe in a signal handler. */
bool tty_open(bool want_input);
void tty_restore(void);
/* Wait up to NS nanoseconds (-1: for ever) for input, if it is WANTED, for a signal that asks for the end, and for the
 * others. True: there is input, or its end. */
struct pollfd;
bool tty_wait(int64_t ns, bool wanted, struct pollfd *others, unsigned count);
/* Up to SIZE bytes. *EOF: there will be no more. */
size_t tty_read(void *buffer, size_t size, bool *eof);

/* terminal.c: standard input and the signals. If stdin is a terminal it becomes raw, and is given back in every way
 * that the program can end, fatal signals included.
 *
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT: common/ending.h. From terminal_open on they stop MACHINE, and terminal_signal
 * says which came. */
void terminal_signals(void);
void terminal_open(vcpu *machine, bool want_input);
void terminal_close(void);
bool terminal_interactive(void); /* input comes from a terminal, which is raw */
bool terminal_eof(void);         /* no more input will come */
int terminal_signal(void);       /* the signal that asks us to end, or 0 */

/* The guest stands: what is not typed at a terminal waits, since the guest's queue has no room for all of it. */
void terminal_hold(bool hold);
/* Wait up to NS nanoseconds (-1: for ever) for input, or one of the other files. */
struct pollfd;
void terminal_wait(int64_t ns, struct pollfd *others, unsigned count);

bool terminal_ending(void);      /* it does, or Ctrl-A X has been typed */
/* Wait until FD takes output, and keep what is typed meanwhile for terminal_read. False: it does not, and the run is to
 * end, or the wait is IN_VAIN from the start. */
bool terminal_wait_writable(int fd, bool in_vain);

enum terminal_event { TERMINAL_NOTHING, TERMINAL_BYTES, TERMINAL_QUIT };
/* Wait up to NS nanoseconds (-1: for ever) for input, and put what the guest is to get, at most SIZE bytes, into
 * BUFFER, *LEN bytes. Ctrl-A sequences of a terminal are dealt with here; from anything else all bytes are the guest's.
 * */
enum terminal_event terminal_read(int64_t ns, void *buffer, size_t size, size_t *len);

#endif
