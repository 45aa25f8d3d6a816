int hm_planted(struct db *db)
{
    return run(db, "UPDATE t SET at = strftime('%s', 'now')");
}
