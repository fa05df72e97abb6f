/* SPDX-License-Identifier: MIT */
/* What a Linux guest knows of itself: its tasks, modules and messages, by the names of its structures' members. Types
 * come from DWARF or, as in most kernels of distributions, from BTF. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

/* A guest can make lists without end. */
enum { TASKS_MAX = 1 << 16, MODULES_MAX = 4096, MESSAGES_MAX = 1 << 20, NAME_BYTES = 64 };

/* ---- members ---- */

/* Where the member NAME of T is, also in parts without a name. False: there is none. */
static bool find_member(struct session *s, const struct type *t, const char *name, size_t len, const struct type **type,
			uint64_t *offset, unsigned depth)
{
	enum { DEPTH_MAX = 8 };

	t = depth < DEPTH_MAX ? type_whole(s, t) : NULL;
	for (unsigned i = 0; t && i < t->nmembers; i++) {
		const struct member *m = &t->members[i];

		if (m->name && strlen(m->name) == len && !memcmp(m->name, name, len)) {
			*type = m->type;
			*offset += m->offset;
			return true;
		}
		if (!m->name && m->type && m->type->kind == TYPE_STRUCT) {
			uint64_t inner = *offset + m->offset;

			if (find_member(s, m->type, name, len, type, &inner, depth + 1)) {
				*offset = inner;
				return true;
			}
		}
	}
	return false;
}

/* "thread.sp" in the structure T. */
static bool find_path(struct session *s, const struct type *t, const char *path, uint64_t *offset, uint64_t *size)
{
	*offset = 0;
	for (;;) {
		const size_t len = strcspn(path, ".");

		if (!t || !find_member(s, t, path, len, &t, offset, 0))
			return false;
		path += len;
		if (!*path)
			break;
		path++;
	}
	*size = t->size;
	return true;
}

struct structure {
	const char *name;
	const struct type *type;
};

static bool structure(struct session *s, const char *name, struct structure *out)
{
	char text[64];

	snprintf(text, sizeof text, "struct %s", name);
	*out = (struct structure){ name, type_by_name(s, text) };
	return out->type ||
	       complaint(s, "the type %s is not known: `symbols kallsyms' finds types in the kernel's memory", text);
}

/* The integer at PATH of the structure at ADDRESS. False: there is no such member, or no such memory. */
static bool get(struct session *s, const struct structure *of, uint64_t address, const char *path, uint64_t *value)
{
	uint64_t offset, size;

	*value = 0;
	if (!find_path(s, of->type, path, &offset, &size))
		return false;
	size = size < 8 ? size : 8;
	return vcpu_read_linear(s->machine, address + offset, value, size) == size;
}

/* The same for what every kernel has. */
static bool member(struct session *s, const struct structure *of, uint64_t address, const char *path, uint64_t *value)
{
	return get(s, of, address, path, value) ||
	       complaint(s, "no %s in struct %s at 0x%" PRIx64, path, of->name, address);
}

static uint64_t offset_of(struct session *s, const struct structure *of, const char *path)
{
	uint64_t offset, size;

	return find_path(s, of->type, path, &offset, &size) ? offset : 0;
}

static void text_at(struct session *s, uint64_t address, char *text, size_t size)
{
	size_t n = vcpu_read_linear(s->machine, address, text, size - 1);

	text[n] = 0;
	for (char *c = text; *c; c++)
		*c = (*c >= ' ' && *c < 127) || *c == '\t' ? *c : '?';
}

static bool symbol(struct session *s, const char *name, uint64_t *address)
{
	const struct symbol *y = symbol_by_name(s, name);

	*address = y ? y->address : 0;
	return y || complaint(s, "no symbol %s: `symbols kallsyms' reads those of a Linux guest", name);
}

/* ---- tasks ---- */

struct task {
	uint64_t address, pid, tgid, parent, state, exit, mm;
	char comm[NAME_BYTES];
};

/* As ps has it (proc(5), /proc/PID/stat). */
static char letter(const struct task *t)
{
	enum { NOLOAD = 0x400, UNINTERRUPTIBLE = 2 };
	static const char letters[] = "SDTtXZPX"; /* of bit 0, 1 ... */
	const uint64_t bits = (t->state | t->exit) & 0x7f;

	if ((t->state & (NOLOAD | UNINTERRUPTIBLE)) == (NOLOAD | UNINTERRUPTIBLE))
		return 'I';
	return !bits ? 'R' : letters[63 - __builtin_clzll(bits)];
}

static bool read_task(struct session *s, const struct structure *task, uint64_t address, struct task *t)
{
	uint64_t parent;

	*t = (struct task){ .address = address };
	if (!member(s, task, address, "pid", &t->pid) || !member(s, task, address, "tgid", &t->tgid))
		return false;
	if (!get(s, task, address, "__state", &t->state) && !member(s, task, address, "state", &t->state))
		return false;
	get(s, task, address, "exit_state", &t->exit);
	get(s, task, address, "mm", &t->mm);
	if (get(s, task, address, "real_parent", &parent))
		get(s, task, parent, "tgid", &t->parent);
	text_at(s, address + offset_of(s, task, "comm"), t->comm, 16 + 1);
	return true;
}

/* Call EACH for every thread of all processes, until it says false. False, having complained. */
static bool each_task(struct session *s, bool (*each)(struct session *s, const struct task *t, void *user), void *user)
{
	struct structure task, signal;
	uint64_t first, process, next, threads;
	unsigned n = 0;
	bool on = true;

	if (!structure(s, "task_struct", &task) || !structure(s, "signal_struct", &signal) ||
	    !symbol(s, "init_task", &first))
		return false;
	process = first;
	do {
		struct task t;

		if (!member(s, &task, process, "signal", &threads))
			return false;
		threads += offset_of(s, &signal, "thread_head");
		for (next = threads; on;) {
			if (vcpu_read_linear(s->machine, next, &next, 8) != 8 || !next)
				return complaint(s, "the list of threads ends at 0x%" PRIx64, next);
			if (next == threads)
				break;
			if (n++ > TASKS_MAX || enough(s))
				return complaint(s, "the list of tasks has no end");
			if (!read_task(s, &task, next - offset_of(s, &task, "thread_node"), &t))
				return false;
			on = each(s, &t, user);
		}
		if (!member(s, &task, process, "tasks.next", &process))
			return false;
		process -= offset_of(s, &task, "tasks");
	} while (on && process != first);
	return true;
}

static bool print_task(struct session *s, const struct task *t, void *user)
{
	const char state[] = { letter(t), 0 };

	(void)user;
	json_open(s, NULL, '{');
	SHOW_NUMBER(s, "pid", "%7" PRIu64, t->tgid);
	SHOW_NUMBER(s, "thread", " %7" PRIu64, t->pid);
	SHOW_NUMBER(s, "parent", " %7" PRIu64, t->parent);
	SHOW_STRING(s, "state", "     %s ", state);
	SHOW_HEX(s, "task", " %016" PRIx64, t->address);
	json_bool(s, "kernel", !t->mm);
	json_cstring(s, "comm", t->comm);
	fprintf(s->out, t->mm ? "  %s\n" : "  [%s]\n", t->comm);
	json_close(s);
	return true;
}

bool do_ps(struct session *s, const char *args)
{
	bool ok;

	(void)args;
	s->interrupted = false;
	json_open(s, "tasks", '[');
	fputs("    PID  THREAD  PARENT STATE  TASK              COMMAND\n", s->out);
	ok = each_task(s, print_task, NULL);
	json_close(s);
	return ok;
}

/* ---- the stack of a task that does not run ---- */

struct wanted {
	uint64_t pid;
	struct task task;
	bool found;
};

static bool is_wanted(struct session *s, const struct task *t, void *user)
{
	struct wanted *w = user;

	(void)s;
	w->found = t->pid == w->pid;
	w->task = w->found ? *t : w->task;
	return !w->found;
}

/* __switch_to_asm pushes RBP, RBX, R12 to R15 below the return address, and saves RSP in the task (Linux,
 * arch/x86/entry/entry_64.S). */
bool task_frame(struct session *s, uint64_t pid, struct frame *f)
{
	enum { R15, R14, R13, R12, BX, BP, RETURN, SAVED };
	static const unsigned char numbers[] = {
		[R15] = 15, [R14] = 14, [R13] = 13, [R12] = 12, [BX] = 3, [BP] = 6, [RETURN] = 16
	}; /* DWARF's */
	struct wanted w = { .pid = pid };
	uint64_t sp, saved[SAVED];
	struct structure task;

	if (address_digits(s) != 16)
		return complaint(s, "stacks of tasks are known for 64-bit kernels only");
	if (!each_task(s, is_wanted, &w) || !structure(s, "task_struct", &task))
		return false;
	if (!w.found)
		return complaint(s, "there is no task %" PRIu64, pid);
	if (!member(s, &task, w.task.address, "thread.sp", &sp))
		return false;
	if (vcpu_read_linear(s->machine, sp, saved, sizeof saved) != sizeof saved)
		return complaint(s, "the stack of task %" PRIu64 " cannot be read", pid);
	*f = (struct frame){ .pc = saved[RETURN], .sp = sp + sizeof saved, .bp = saved[BP], .called = true };
	for (unsigned i = 0; i < SAVED; i++) {
		f->regs[numbers[i]] = saved[i];
		f->saved[numbers[i]] = sp + 8 * i;
	}
	f->regs[7] = f->sp;
	return true;
}

/* ---- modules ---- */

static bool print_module(struct session *s, const struct structure *module, uint64_t at)
{
	uint64_t size = 0, base = 0, uses = 0, state = 0;
	char name[NAME_BYTES];

	text_at(s, at + offset_of(s, module, "name"), name, sizeof name);
	get(s, module, at, "refcnt.counter", &uses);
	get(s, module, at, "state", &state);
	if (!get(s, module, at, "core_layout.base", &base) || !get(s, module, at, "core_layout.size", &size)) {
		enum { MOD_MEM_TYPES = 7 };
		struct structure memory;
		const uint64_t array = at + offset_of(s, module, "mem");
		uint64_t part;

		if (!structure(s, "module_memory", &memory)) /* since 6.4 */
			return false;
		for (unsigned i = 0; i < MOD_MEM_TYPES; i++)
			if (get(s, &memory, array + i * memory.type->size, "size", &part))
				size += part;
		get(s, &memory, array, "base", &base);
	}
	json_open(s, NULL, '{');
	SHOW_STRING(s, "name", "%-24s", name);
	SHOW_NUMBER(s, "size", " %9" PRIu64, size & 0xffffffff);
	SHOW_NUMBER(s, "uses", " %4" PRIu64, (uses - 1) & 0xffffffff); /* the module's own does not count */
	SHOW_HEX(s, "base", "  %016" PRIx64 "\n", base);
	json_close(s);
	return true;
}

bool do_lsmod(struct session *s, const char *args)
{
	struct structure module;
	uint64_t head, next;
	unsigned n = 0;
	bool ok = true;

	(void)args;
	s->interrupted = false;
	if (!structure(s, "module", &module) || !symbol(s, "modules", &head))
		return false;
	fputs("Module                        Size Uses  Base\n", s->out);
	json_open(s, "modules", '[');
	for (next = head; ok;) {
		ok = vcpu_read_linear(s->machine, next, &next, 8) == 8 && n++ < MODULES_MAX && !enough(s);
		if (next == head)
			break;
		ok = ok && print_module(s, &module, next - offset_of(s, &module, "list"));
	}
	json_close(s);
	return ok || complaint(s, "the list of modules ends at 0x%" PRIx64, next);
}

/* ---- messages ---- */

/* The ring of printk since 5.10 (Linux, kernel/printk/printk_ringbuffer.h): descriptors, by number, of which each says
 * where its text is in a ring of bytes. */
struct ring {
	struct structure info, desc;
	uint64_t descs, infos, data;
	unsigned desc_bits, data_bits;
};

static bool print_message(struct session *s, const struct ring *r, uint64_t id)
{
	enum { COMMITTED = 1, FINALIZED = 2, STATE_SHIFT = 62 };
	const uint64_t mask = ((uint64_t)1 << r->desc_bits) - 1, bytes = (uint64_t)1 << r->data_bits;
	const uint64_t desc = r->descs + (id & mask) * r->desc.type->size,
		       info = r->infos + (id & mask) * r->info.type->size;
	uint64_t state, begin, next, ns, len, at;
	char text[1024 + 1];

	if (!member(s, &r->desc, desc, "state_var.counter", &state) ||
	    !member(s, &r->desc, desc, "text_blk_lpos.begin", &begin) ||
	    !member(s, &r->desc, desc, "text_blk_lpos.next", &next) || !member(s, &r->info, info, "ts_nsec", &ns) ||
	    !member(s, &r->info, info, "text_len", &len))
		return false;
	if ((state >> STATE_SHIFT != COMMITTED && state >> STATE_SHIFT != FINALIZED) || ((state ^ id) << 2))
		return true;
	/* an odd position: no text. A text that would not fit before the end begins anew at 0. */
	at = begin & (bytes - 1);
	if (begin >> r->data_bits != next >> r->data_bits && next & (bytes - 1))
		at = 0;
	text[0] = 0;
	if (!(begin & 1))
		text_at(s, r->data + at + 8, text, len + 1 < sizeof text ? (size_t)len + 1 : sizeof text);
	json_open(s, NULL, '{');
	json_number(s, "ns", (int64_t)ns);
	fprintf(s->out, "[%5" PRIu64 ".%06" PRIu64 "] ", ns / 1000000000, ns / 1000 % 1000000);
	SHOW_STRING(s, "text", "%s\n", text);
	json_close(s);
	return true;
}

bool do_dmesg(struct session *s, const char *args)
{
	struct structure ring;
	uint64_t at, first, last, bits;
	struct ring r;
	bool ok = true;

	(void)args;
	s->interrupted = false;
	if (!structure(s, "printk_ringbuffer", &ring) || !structure(s, "printk_info", &r.info) ||
	    !structure(s, "prb_desc", &r.desc) || !symbol(s, "prb", &at))
		return false;
	if (vcpu_read_linear(s->machine, at, &at, 8) != 8 || !member(s, &ring, at, "desc_ring.count_bits", &bits))
		return complaint(s, "the ring of messages cannot be read");
	r.desc_bits = (unsigned)bits & 31;
	if (!member(s, &ring, at, "desc_ring.descs", &r.descs) || !member(s, &ring, at, "desc_ring.infos", &r.infos) ||
	    !member(s, &ring, at, "desc_ring.head_id.counter", &last) ||
	    !member(s, &ring, at, "desc_ring.tail_id.counter", &first) ||
	    !member(s, &ring, at, "text_data_ring.size_bits", &bits) ||
	    !member(s, &ring, at, "text_data_ring.data", &r.data))
		return false;
	r.data_bits = (unsigned)bits & 31;
	json_open(s, "messages", '[');
	for (uint64_t n = 0; ok && n < MESSAGES_MAX && !enough(s); n++) {
		const uint64_t id = (first + n) << 2 >> 2;

		ok = print_message(s, &r, id);
		if (id == last << 2 >> 2)
			break;
	}
	json_close(s);
	return ok;
}
