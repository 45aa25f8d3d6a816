/* What carries out each route of the API: daemon/serve/api.c says which, and opens the
 * transaction around it. Each sets call->reply or call->out, and call->status when it
 * is not 200, or returns an error with one line said by hm_call_fail(). */
#ifndef HM_DAEMON_SERVE_HANDLERS_H
#define HM_DAEMON_SERVE_HANDLERS_H

#include "daemon/serve/call.h"

int hm_devices_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_devices_handle_invite(struct hm_call *call) HM_MUST_USE;
int hm_devices_handle_revoke(struct hm_call *call) HM_MUST_USE;
int hm_devices_handle_reassign(struct hm_call *call) HM_MUST_USE;
int hm_devices_handle_close(struct hm_call *call) HM_MUST_USE;
int hm_devices_handle_restore_finished(struct hm_call *call) HM_MUST_USE;

/* 16 hexadecimal digits, as people see a device's id. */
bool hm_devices_read_id(const char *text, uint64_t *out_id);

int hm_upstreams_handle_list(struct hm_call *call) HM_MUST_USE;

int hm_people_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_people_handle_add(struct hm_call *call) HM_MUST_USE;
int hm_people_handle_passphrase(struct hm_call *call) HM_MUST_USE;
int hm_people_handle_disable(struct hm_call *call) HM_MUST_USE;
int hm_people_handle_enable(struct hm_call *call) HM_MUST_USE;
int hm_people_handle_change(struct hm_call *call) HM_MUST_USE;
int hm_people_handle_reset(struct hm_call *call) HM_MUST_USE;
/* These two open their own transactions. */
int hm_people_handle_redeem(struct hm_call *call) HM_MUST_USE;
int hm_people_handle_check(struct hm_call *call) HM_MUST_USE;

int hm_units_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_units_handle_import(struct hm_call *call) HM_MUST_USE;
int hm_rounds_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_rounds_handle_open(struct hm_call *call) HM_MUST_USE;
int hm_rounds_handle_close(struct hm_call *call) HM_MUST_USE;

int hm_forms_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_forms_handle_publish(struct hm_call *call) HM_MUST_USE;
int hm_forms_handle_show(struct hm_call *call) HM_MUST_USE;

int hm_households_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_households_handle_show(struct hm_call *call) HM_MUST_USE;
int hm_households_handle_put(struct hm_call *call) HM_MUST_USE;
int hm_households_handle_put_form(struct hm_call *call) HM_MUST_USE;

int hm_facts_handle_move(struct hm_call *call) HM_MUST_USE;
int hm_facts_handle_merge(struct hm_call *call) HM_MUST_USE;
int hm_facts_handle_unmerge(struct hm_call *call) HM_MUST_USE;
int hm_facts_handle_split(struct hm_call *call) HM_MUST_USE;
int hm_facts_handle_delete(struct hm_call *call) HM_MUST_USE;
int hm_facts_handle_decide(struct hm_call *call) HM_MUST_USE;

int hm_import_handle(struct hm_call *call) HM_MUST_USE;
int hm_export_handle(struct hm_call *call) HM_MUST_USE;

int hm_conflicts_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_conflicts_handle_show(struct hm_call *call) HM_MUST_USE;
int hm_conflicts_handle_resolve(struct hm_call *call) HM_MUST_USE;
int hm_conflicts_handle_resolve_all(struct hm_call *call) HM_MUST_USE;
int hm_conflicts_handle_undo(struct hm_call *call) HM_MUST_USE;

int hm_duplicates_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_duplicates_handle_apart(struct hm_call *call) HM_MUST_USE;

int hm_notices_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_notices_handle_clear(struct hm_call *call) HM_MUST_USE;

int hm_quarantine_handle_list(struct hm_call *call) HM_MUST_USE;
int hm_quarantine_handle_show(struct hm_call *call) HM_MUST_USE;
int hm_quarantine_handle_release(struct hm_call *call) HM_MUST_USE;
int hm_quarantine_handle_release_all(struct hm_call *call) HM_MUST_USE;
int hm_quarantine_handle_export(struct hm_call *call) HM_MUST_USE;

/* These two open their own transactions. */
int hm_backup_handle(struct hm_call *call) HM_MUST_USE;
int hm_verify_handle(struct hm_call *call) HM_MUST_USE;

#endif
