// The ledger of the release before this one (commit ec00ade, the last without replicas), so that the two can be run side
// by side. Made by `esbuild --bundle --format=esm --packages=external --minify-whitespace --minify-syntax` from a file that
// exports openDatabase and Ledger; made anew from each release that is deployed.
import{Kysely,PostgresDialect,SqliteDialect,sql as sql8}from"kysely";import{Migrator}from"kysely/migration";function shiftedClock(clock,offset){return{now:()=>clock.now()+offset(),sleep:(ms,signal)=>clock.sleep(ms,signal)}}import{sql}from"kysely";var migration={async up(db){await createEndings(db),await createAttempts(db),await createIdempotencyKeys(
db),await createControl(db)}};async function createEndings(db){await db.schema.createTable("endings").addColumn("id","te\
xt",c=>c.primaryKey().notNull()).addColumn("state","text",c=>c.notNull()).addColumn("target_kind","text",c=>c.notNull()).
addColumn("target_id","text",c=>c.notNull()).addColumn("reason","text",c=>c.notNull()).addColumn("requested_by","text",c=>c.
notNull()).addColumn("key","text").addColumn("subject","text").addColumn("urgent","integer",c=>c.notNull()).addColumn("d\
ue_at","bigint",c=>c.notNull()).addColumn("next_attempt_at","bigint",c=>c.notNull()).addColumn("attempt","integer",c=>c.
notNull()).addColumn("claim","integer",c=>c.notNull()).addColumn("claimed_until","bigint").addColumn("retry_since","bigi\
nt").addColumn("retry_base","integer",c=>c.notNull()).addColumn("outcome","text").addColumn("failure","text").addColumn(
"created_at","bigint",c=>c.notNull()).addColumn("finished_at","bigint").addColumn("confirmed_at","bigint").addColumn("me\
tadata","text",c=>c.notNull()).addCheckConstraint("endings_state",sql`state in ('pending', 'ended', 'failed', 'cancelled')`).
addCheckConstraint("endings_target",sql`target_kind in ('session', 'room', 'external')`).addCheckConstraint("endings_urg\
ent",sql`urgent in (0, 1)`).addCheckConstraint("endings_finished",sql`(state = 'pending') = (finished_at is null)`).addCheckConstraint(
"endings_outcome",sql`(state = 'ended') = (outcome is not null) and (outcome is null or outcome in ('ended', 'already_ended', 'nothing_live'))`).
addCheckConstraint("endings_failure",sql`(state = 'failed') = (failure is not null) and (failure is null or failure in ('session_not_found', 'room_not_found', 'rejected', 'gave_up'))`).
addCheckConstraint("endings_claimed",sql`claimed_until is null or state = 'pending'`).addCheckConstraint("endings_confir\
med",sql`confirmed_at is null or state = 'ended'`).addCheckConstraint("endings_next_attempt",sql`next_attempt_at >= due_at`).
addCheckConstraint("endings_counts",sql`attempt >= 0 and claim >= 0 and retry_base between 0 and attempt`).execute(),await sql`create unique index endings_key on endings (requested_by, key) where state = 'pending' and key is not null`.
execute(db),await sql`create index endings_due on endings (urgent, due_at, id) where state = 'pending'`.execute(db),await sql`create index endings_next on endings (next_attempt_at) where state = 'pending'`.
execute(db),await sql`create index endings_finished_at on endings (finished_at) where finished_at is not null`.execute(db),
await sql`create index endings_target_id on endings (target_id)`.execute(db),await sql`create index endings_by_key on endings (key) where key is not null`.
execute(db),await sql`create index endings_by_subject on endings (subject) where subject is not null`.execute(db)}async function createAttempts(db){
await db.schema.createTable("attempts").addColumn("id","text",c=>c.primaryKey().notNull()).addColumn("ending_id","text",
c=>c.notNull().references("endings.id").onDelete("cascade")).addColumn("attempt","integer",c=>c.notNull()).addColumn("se\
ssion","text",c=>c.notNull()).addColumn("started_at","bigint",c=>c.notNull()).addColumn("duration_ms","integer",c=>c.notNull()).
addColumn("status","integer").addColumn("result","text",c=>c.notNull()).addColumn("error","text").addCheckConstraint("at\
tempts_result",sql`result in ('ended', 'already_ended', 'not_found', 'rejected', 'retry')`).execute(),await sql`create index attempts_ending on attempts (ending_id)`.
execute(db),await sql`create index attempts_session on attempts (session)`.execute(db),await sql`create index attempts_started on attempts (started_at)`.
execute(db)}async function createIdempotencyKeys(db){await db.schema.createTable("idempotency_keys").addColumn("caller",
"text",c=>c.notNull()).addColumn("key","text",c=>c.notNull()).addColumn("fingerprint","text",c=>c.notNull()).addColumn("\
ending_id","text",c=>c.notNull()).addColumn("created_at","bigint",c=>c.notNull()).addPrimaryKeyConstraint("idempotency_k\
eys_pk",["caller","key"]).execute(),await sql`create index idempotency_keys_created on idempotency_keys (created_at)`.execute(
db)}async function createControl(db){await db.schema.createTable("control").addColumn("name","text",c=>c.primaryKey().notNull()).
addColumn("since","bigint",c=>c.notNull()).addColumn("until","bigint",c=>c.notNull()).addColumn("why","text",c=>c.notNull()).
addCheckConstraint("control_name",sql`name in ('pause', 'refusal')`).execute()}import{sql as sql2}from"kysely";var migration2={async up(db){await createEvents(db),await createSubjects(db),await addConfirmation(
db)}};async function createEvents(db){await db.schema.createTable("events").addColumn("sender","text",c=>c.notNull()).addColumn(
"source","text",c=>c.notNull()).addColumn("id","text",c=>c.notNull()).addColumn("type","text",c=>c.notNull()).addColumn(
"status","text",c=>c.notNull()).addColumn("endings","text",c=>c.notNull()).addColumn("received_at","bigint",c=>c.notNull()).
addPrimaryKeyConstraint("events_pk",["sender","source","id"]).addCheckConstraint("events_status",sql2`status in ('accepted', 'stale')`).
execute(),await sql2`create index events_received on events (received_at)`.execute(db)}async function createSubjects(db){
await db.schema.createTable("subjects").addColumn("sender","text",c=>c.notNull()).addColumn("subject","text",c=>c.notNull()).
addColumn("time","bigint",c=>c.notNull()).addColumn("precedence","integer",c=>c.notNull()).addColumn("timed","integer",c=>c.
notNull()).addColumn("memory","text",c=>c.notNull()).addColumn("matters_until","bigint",c=>c.notNull()).addPrimaryKeyConstraint(
"subjects_pk",["sender","subject"]).addCheckConstraint("subjects_timed",sql2`timed in (0, 1)`).execute(),await sql2`create index subjects_matters on subjects (matters_until)`.
execute(db)}async function addConfirmation(db){await db.schema.alterTable("endings").addColumn("confirm_at","bigint",c=>c.
check(sql2`confirm_at is null or (state = 'ended' and outcome = 'ended' and confirmed_at is null)`)).execute(),await db.
schema.alterTable("endings").addColumn("reopened","integer",c=>c.notNull().defaultTo(0).check(sql2`reopened between 0 and 3`)).
execute(),await db.schema.alterTable("attempts").addColumn("confirmed_at","bigint").execute(),await sql2`create index endings_confirm on endings (confirm_at) where confirm_at is not null`.
execute(db)}import{sql as sql3}from"kysely";var migration3={async up(db){await createTimeLimits(db),await createSessions(db),await createWarnings(
db),await createHolds(db),await db.schema.createTable("sweeps").addColumn("name","text",c=>c.primaryKey().notNull()).addColumn(
"next_at","bigint",c=>c.notNull()).execute()}};async function createTimeLimits(db){await db.schema.createTable("time_lim\
its").addColumn("room","text",c=>c.primaryKey().notNull()).addColumn("owner","text",c=>c.notNull()).addColumn("max_minut\
es","integer",c=>c.notNull().check(sql3`max_minutes > 0`)).addColumn("warn_minutes","text").addColumn("created_at","bigi\
nt",c=>c.notNull()).addColumn("updated_at","bigint",c=>c.notNull()).execute()}async function createSessions(db){await db.
schema.createTable("sessions").addColumn("id","text",c=>c.primaryKey().notNull()).addColumn("room_id","text").addColumn(
"friendly_url","text").addColumn("external_id","text").addColumn("started_at","bigint",c=>c.notNull()).addColumn("seen_a\
t","bigint",c=>c.notNull()).addColumn("over_at","bigint").addColumn("limit_ending","text").addColumn("limit_room","text").
addColumn("limit_due","bigint").addColumn("hold_ending","text").execute(),await sql3`create index sessions_live on sessions (id) where over_at is null`.
execute(db),await sql3`create index sessions_room on sessions (room_id)`.execute(db),await sql3`create index sessions_seen on sessions (seen_at)`.
execute(db)}async function createWarnings(db){await db.schema.createTable("warnings").addColumn("ending_id","text",c=>c.
notNull().references("endings.id").onDelete("cascade")).addColumn("due_at","bigint",c=>c.notNull()).addColumn("minutes",
"integer",c=>c.notNull()).addColumn("told_minutes","integer",c=>c.notNull()).addColumn("marked_at","bigint",c=>c.notNull()).
addColumn("sent_at","bigint").addColumn("result","text",c=>c.notNull()).addPrimaryKeyConstraint("warnings_pk",["ending_i\
d","due_at","minutes"]).addCheckConstraint("warnings_result",sql3`result in ('begun', 'sent', 'nobody_there', 'superseded', 'failed')`).
addCheckConstraint("warnings_sent",sql3`(result = 'sent') = (sent_at is not null)`).execute(),await db.schema.alterTable(
"endings").addColumn("warn_minutes","text").execute(),await db.schema.alterTable("endings").addColumn("warn_at","bigint").
execute(),await sql3`create index endings_warn on endings (warn_at) where state = 'pending' and warn_at is not null`.execute(
db)}async function createHolds(db){await db.schema.createTable("holds").addColumn("id","text",c=>c.primaryKey().notNull()).
addColumn("room_kind","text",c=>c.notNull()).addColumn("room","text",c=>c.notNull()).addColumn("from_at","bigint",c=>c.notNull()).
addColumn("until_at","bigint").addColumn("requested_by","text",c=>c.notNull()).addColumn("reason","text",c=>c.notNull()).
addColumn("subject","text").addColumn("ending_id","text").addColumn("created_at","bigint",c=>c.notNull()).addColumn("lif\
ted_at","bigint").addColumn("lifted_by","text").addCheckConstraint("holds_room_kind",sql3`room_kind in ('room', 'external')`).
addCheckConstraint("holds_time",sql3`until_at is null or until_at >= from_at`).addCheckConstraint("holds_lifted",sql3`(lifted_at is null) = (lifted_by is null)`).
execute(),await sql3`create index holds_open on holds (requested_by, room) where lifted_at is null`.execute(db),await sql3`create index holds_ending on holds (ending_id) where ending_id is not null`.
execute(db)}import{sql as sql4}from"kysely";var migration4={async up(db){await createOwned(db),await moveOwned(db),await indexSessions(
db),await changeRules(db),await changeHolds(db),await addBooked(db),await changeWarnings(db)}};async function createOwned(db){
await db.schema.createTable("session_limits").addColumn("session","text",c=>c.notNull().references("sessions.id").onDelete(
"cascade")).addColumn("requested_by","text",c=>c.notNull()).addColumn("ending_id","text",c=>c.notNull()).addColumn("room",
"text",c=>c.notNull()).addColumn("due_at","bigint",c=>c.notNull()).addPrimaryKeyConstraint("session_limits_pk",["session",
"requested_by"]).execute(),await db.schema.createTable("session_holds").addColumn("session","text",c=>c.notNull().references(
"sessions.id").onDelete("cascade")).addColumn("requested_by","text",c=>c.notNull()).addColumn("hold_id","text",c=>c.notNull()).
addColumn("ending_id","text",c=>c.notNull()).addPrimaryKeyConstraint("session_holds_pk",["session","requested_by"]).execute(),
await sql4`create index session_holds_hold on session_holds (hold_id)`.execute(db)}var ROWS_AT_ONCE=500;async function moveOwned(db){
await sql4`insert into session_limits (session, requested_by, ending_id, room, due_at)
    select sessions.id, endings.requested_by, endings.id, sessions.limit_room, sessions.limit_due
    from sessions join endings on endings.id = sessions.limit_ending where sessions.limit_room is not null`.execute(db);
for(let after="";;){let rows=await db.selectFrom("sessions").innerJoin("endings","endings.id","sessions.hold_ending").select(
["sessions.id as session","endings.requested_by","endings.id as ending_id","metadata"]).where("sessions.id",">",after).orderBy(
"sessions.id").limit(ROWS_AT_ONCE).execute(),held=rows.map(({metadata,...row})=>({...row,hold_id:JSON.parse(metadata).hold??
""}));if(held.length>0&&await db.insertInto("session_holds").values(held).execute(),rows.length<ROWS_AT_ONCE)break;after=
rows.at(-1)?.session}for(let column of["limit_ending","limit_room","limit_due","hold_ending"])await db.schema.alterTable(
"sessions").dropColumn(column).execute()}async function indexSessions(db){await sql4`drop index sessions_room`.execute(db);
for(let column of["room_id","friendly_url","external_id"])await sql4`create index ${sql4.raw(`sessions_live_${column}`)} on sessions (${sql4.
ref(column)}, id) where over_at is null`.execute(db)}var UUID=/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;async function changeRules(db){
await db.schema.alterTable("time_limits").renameColumn("owner","requested_by").execute(),await addById(db,"time_limits");
for(let{room}of await db.selectFrom("time_limits").select("room").execute())UUID.test(room)&&await db.updateTable("time_\
limits").set({by_id:1}).where("room","=",room).execute();await sql4`create index time_limits_party on time_limits (requested_by)`.
execute(db),await sql4`create index time_limits_named on time_limits (room) where by_id = 0`.execute(db),await db.schema.
createTable("limit_changes").addColumn("room","text",c=>c.primaryKey().notNull()).addColumn("after_session","text",c=>c.
notNull()).addColumn("changed_at","bigint",c=>c.notNull()).execute()}async function addById(db,table){await db.schema.alterTable(
table).addColumn("by_id","integer",c=>c.notNull().defaultTo(0).check(sql4`by_id in (0, 1)`)).execute()}async function changeHolds(db){
await addById(db,"holds");let rooms=await db.selectFrom("holds").select("room").distinct().where("room_kind","=","room").
execute();for(let{room}of rooms)UUID.test(room)&&await db.updateTable("holds").set({by_id:1}).where("room_kind","=","roo\
m").where("room","=",room).execute();await sql4`drop index holds_open`.execute(db);let current2={holds_room:"room_kind, \
room, requested_by, from_at, id, until_at",holds_subject:"requested_by, subject",holds_party:"requested_by, until_at",holds_current:"\
until_at, id, from_at"};for(let[name2,columns]of Object.entries(current2))await sql4`create index ${sql4.raw(name2)} on holds (${sql4.
raw(columns)}) where lifted_at is null`.execute(db);await sql4`create index holds_named on holds (until_at, from_at) where lifted_at is null and by_id = 0`.
execute(db),await sql4`create index holds_over on holds (coalesce(lifted_at, until_at))`.execute(db)}async function addBooked(db){
for(let column of["booked_kind","booked_room"])await db.schema.alterTable("subjects").addColumn(column,"text").execute();
for(let column of["booked_from","booked_until"])await db.schema.alterTable("subjects").addColumn(column,"bigint").execute();
let known=await db.selectFrom("subjects").select(["sender","subject","memory"]).where("subject","like","booking:%").execute();
for(let{sender,subject,memory}of known){let booked=bookedBy(JSON.parse(memory));booked&&await db.updateTable("subjects").
set(booked).where("sender","=",sender).where("subject","=",subject).execute()}await sql4`create index subjects_booked on subjects (sender, booked_kind, booked_room, booked_until) where booked_until is not null`.
execute(db)}function bookedBy(booking2){let{room,roomExternalId}=booking2?.target?.value??{};if(!(!booking2?.endsAt||booking2.
cancelled||(room??roomExternalId)===void 0))return{booked_kind:room===void 0?"external":"room",booked_room:room!==void 0&&
UUID.test(room.toLowerCase())?room.toLowerCase():room??roomExternalId,booked_from:booking2.startsAt?.value??null,booked_until:booking2.
endsAt.value}}async function changeWarnings(db){await db.schema.createTable("warnings_now").addColumn("ending_id","text",
c=>c.notNull().references("endings.id").onDelete("cascade")).addColumn("due_at","bigint",c=>c.notNull()).addColumn("minu\
tes","integer",c=>c.notNull()).addColumn("told_minutes","integer",c=>c.notNull()).addColumn("marked_at","bigint",c=>c.notNull()).
addColumn("sent_at","bigint").addColumn("result","text",c=>c.notNull()).addPrimaryKeyConstraint("warnings_now_pk",["endi\
ng_id","due_at","minutes"]).addCheckConstraint("warnings_now_result",sql4`result in ('begun', 'sent', 'nobody_there', 'superseded', 'too_soon', 'failed')`).
addCheckConstraint("warnings_now_sent",sql4`(result = 'sent') = (sent_at is not null)`).execute();let columns=sql4.raw("\
ending_id, due_at, minutes, told_minutes, marked_at, sent_at, result");await sql4`insert into warnings_now (${columns}) select ${columns} from warnings`.
execute(db),await db.schema.dropTable("warnings").execute(),await db.schema.alterTable("warnings_now").renameTo("warning\
s").execute(),await db.schema.createTable("warned_rooms").addColumn("room","text",c=>c.primaryKey().notNull()).addColumn(
"warned_at","bigint",c=>c.notNull()).addColumn("told","text",c=>c.notNull()).execute(),await sql4`create index warned_rooms_at on warned_rooms (warned_at)`.
execute(db)}import{sql as sql5}from"kysely";var migration5={async up(db){await db.schema.createTable("changes").addColumn("ending_id",
"text",c=>c.notNull().references("endings.id").onDelete("cascade")).addColumn("seq","integer",c=>c.notNull()).addColumn(
"at","bigint",c=>c.notNull()).addColumn("by","text",c=>c.notNull()).addColumn("change","text",c=>c.notNull()).addColumn(
"before","text",c=>c.notNull()).addColumn("after","text",c=>c.notNull()).addPrimaryKeyConstraint("changes_pk",["ending_i\
d","seq"]).addCheckConstraint("changes_change",sql5`change in ('moved', 'replaced', 'cancelled', 'retried', 'reopened')`).
execute();for(let[column,type]of[["previous","text"],["last_error","text"],["last_error_at","bigint"]])await db.schema.alterTable(
"endings").addColumn(column,type).execute();await sql5`create index endings_failed on endings (finished_at) where state = 'failed'`.
execute(db)}};import{sql as sql6}from"kysely";var migration6={async up(db){await sql6`create index endings_retrying on endings (next_attempt_at) where state = 'pending' and retry_since is not null`.
execute(db)}};import{sql as sql7}from"kysely";var migration7={async up(db){for(let name2 of["endings_target_id","endings_by_key","endi\
ngs_by_subject"])await sql7`drop index ${sql7.ref(name2)}`.execute(db);let indexes={endings_target:"(target_id, id)",endings_by_key:"\
(key, id) where key is not null",endings_by_subject:"(subject, id) where subject is not null",endings_pending:"(id) wher\
e state = 'pending'",endings_failed_id:"(id) where state = 'failed'",endings_pending_target:"(target_id, due_at, id) whe\
re state = 'pending'",endings_pending_subject:"(requested_by, subject) where state = 'pending' and subject is not null",
endings_claimed:"(claimed_until) where state = 'pending' and claimed_until is not null"};for(let[name2,columns]of Object.
entries(indexes))await sql7`create index ${sql7.ref(name2)} on endings ${sql7.raw(columns)}`.execute(db)}};var migrations={"001-endings":migration,"002-events":migration2,"003-time-limits":migration3,"004-owners":migration4,"00\
5-changes":migration5,"006-retrying":migration6,"007-large-ledgers":migration7};import{mkdirSync,statSync}from"node:fs";import{dirname}from"node:path";import{DatabaseSync}from"node:sqlite";var StorageError=class extends Error{name="StorageError";code="STORAGE_UNAVAILABLE"},InProgressError=class extends Error{name="\
InProgressError";code="IN_PROGRESS"},TooManyError=class extends Error{name="TooManyError";code="TOO_MANY"};async function translated(work){
try{return await work}catch(error){throw isTrouble(error)?new StorageError("the ledger cannot be reached or written now",
{cause:error}):error}}var SQLITE_TROUBLE=[5,6,7,8,10,11,13,14,26],POSTGRES_TROUBLE=/^(08|28|3D|40|53|55|57|58)/,READ_ONLY="\
25006",NETWORK=/^(E(CONN|PIPE|TIMEDOUT|HOST|NET|NOTFOUND|AI_AGAIN|ADDRNOTAVAIL|MFILE|NFILE)|ERR_(SSL|TLS)_|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/,
SAID=/timeout|terminated|connection error|not queryable|after calling end|already been destroyed|database is not open|not support SSL/i;
function isTrouble(error){if(!(error instanceof Error))return!1;let{code,errcode,message}=error;return errcode!==void 0?
SQLITE_TROUBLE.includes(errcode&255):code===READ_ONLY||code===REPLACED||typeof code=="string"&&(POSTGRES_TROUBLE.test(code)||
NETWORK.test(code))?!0:!(error instanceof TypeError)&&isOfDriver(code)&&SAID.test(message)}function isOfDriver(code){return code===
void 0||code==="ERR_INVALID_STATE"}var REPLACED="DATABASE_REPLACED",DatabaseReplacedError=class extends Error{name="Data\
baseReplacedError";code=REPLACED};function isUniqueViolation(error){return error.code==="23505"}var STATEMENTS_KEPT=256,NodeSqlite=class{#db;#file;#identity;#statements=new Map;constructor(file){this.#db=new DatabaseSync(
file),this.#file=file,this.#db.exec("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on"),this.#db.
exec("pragma wal_autocheckpoint = 4000"),this.#db.exec("pragma busy_timeout = 2000; pragma journal_size_limit = 67108864"),
this.#identity=identityOf(file)}verifyInPlace(){if(identityOf(this.#file)!==this.#identity)throw new DatabaseReplacedError(
`${this.#file} was removed or replaced while it was open; stop Curfew, put the file back, start it again`)}prepare(sql24){
let known=this.#statements.get(sql24);if(known)return known;let statement=wrap(this.#db.prepare(sql24));return this.#statements.
size>=STATEMENTS_KEPT&&this.#statements.clear(),this.#statements.set(sql24,statement),statement}close(){this.#statements.
clear(),this.#db.close()}};function wrap(statement){let parameters=values=>values;return{reader:statement.columns().length>
0,all:values=>statement.all(...parameters(values)),run:values=>statement.run(...parameters(values)),iterate:values=>statement.
iterate(...parameters(values))}}function identityOf(file){let found=statSync(file,{throwIfNoEntry:!1});return found?`${found.
dev}:${found.ino}`:"none"}function makeFolder(folder){try{mkdirSync(folder)}catch(error){if(error.code!=="EEXIST")throw error}}
var SQLITE_BUSY=5,DatabaseInUseError=class extends Error{name="DatabaseInUseError";code="DATABASE_IN_USE"};function lockFile(file){
makeFolder(dirname(file));let lock=new DatabaseSync(`${file}.lock`);try{lock.exec("pragma busy_timeout = 0; pragma journ\
al_mode = delete; begin exclusive")}catch(cause){if(lock.close(),cause.errcode!==SQLITE_BUSY)throw cause;let message=`an\
other Curfew process is using ${file}; for several replicas use a postgres:// DATABASE_URL`;throw new DatabaseInUseError(
message,{cause})}return{release:()=>lock.close()}}async function openDatabase(options){return options.url.startsWith("file:")?openSqlite(options):openPostgres(options)}async function openSqlite({
url,clock}){let file=url.slice(5),lock=lockFile(file);try{let database=new NodeSqlite(file),db=new Kysely({dialect:new SqliteDialect(
{database})}),close=async()=>{await db.destroy(),lock.release()};return await migrate(db).catch(async error=>{throw await db.
destroy(),error}),{engine:"sqlite",db,clock,verify:()=>database.verifyInPlace(),close}}catch(error){throw lock.release(),
error}}var OFFSET_MEASURED_EVERY_MS=6e4,POOL_SIZE=10,CONNECT_TIMEOUT_MS=5e3,STATEMENT_TIMEOUT_MS=8e3,QUERY_TIMEOUT_MS=1e4,
LOCK_TIMEOUT_MS=2e3,MIGRATION_LOCK_TIMEOUT_MS=6e4;async function openPostgres({url,clock,onError}){let{default:pg}=await import("pg"),
getTypeParser=(oid,format)=>oid===pg.types.builtins.INT8?Number:pg.types.getTypeParser(oid,format),common={connectionString:url,
connectionTimeoutMillis:CONNECT_TIMEOUT_MS,keepAlive:!0,application_name:"curfew"},migrating=new pg.Pool({...common,max:1,
lock_timeout:MIGRATION_LOCK_TIMEOUT_MS});migrating.on("error",error=>onError?.(error)),await migrateOn(new Kysely({dialect:new PostgresDialect(
{pool:migrating})}));let pool2=new pg.Pool({...common,max:POOL_SIZE,query_timeout:QUERY_TIMEOUT_MS,statement_timeout:STATEMENT_TIMEOUT_MS,
lock_timeout:LOCK_TIMEOUT_MS,types:{getTypeParser}});pool2.on("error",error=>onError?.(error)),pool2.on("connect",client=>void client.
on("error",error=>onError?.(error)));let db=new Kysely({dialect:new PostgresDialect({pool:pool2})}),stop=new AbortController,
close=async()=>{stop.abort(),await db.destroy()},offset=0,measure=async()=>{offset=await measureOffset(db,clock)};try{await measure()}catch(error){
throw await close(),error}remeasure(measure,clock,stop.signal,onError);let verify=()=>{};return{engine:"postgres",db,clock:shiftedClock(
clock,()=>offset),verify,close}}async function remeasure(measure,clock,signal,onError){for(;!signal.aborted;)await clock.
sleep(OFFSET_MEASURED_EVERY_MS,signal),signal.aborted||await measure().catch(error=>onError?.(error))}async function measureOffset(db,clock){
let best={took:Number.POSITIVE_INFINITY,offset:0};for(let sample=0;sample<5;sample+=1){let before=clock.now(),{rows}=await sql8`select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now`.
execute(db),after=clock.now(),offset=Math.round((rows[0]?.now??before)-(before+after)/2);after-before<best.took&&(best={
took:after-before,offset})}return best.offset}async function migrateOn(db){try{await migrate(db)}finally{await db.destroy()}}
async function migrate(db){let migrator=new Migrator({db,provider:{getMigrations:async()=>migrations}}),{error}=await migrator.
migrateToLatest();if(error)throw error}import{EventEmitter}from"node:events";import{sql as sql11}from"kysely";import{sql as sql10}from"kysely";import{sql as sql9}from"kysely";function formatTime(at){return new Date(at).toISOString()}function oneYearAfter(at){let date=new Date(at);return date.setUTCFullYear(
date.getUTCFullYear()+1)}var CURFEW="curfew",CHANGES_KEPT=100,ROWS_IN_ONE=50;async function noteChanges(trx,notes,now){for(let from=0;from<notes.
length;from+=ROWS_IN_ONE){let rows=notes.slice(from,from+ROWS_IN_ONE).map(note=>rowOf(note,now)),written=await trx.insertInto(
"changes").values(rows).returning(["ending_id","seq"]).execute();for(let{ending_id,seq}of written)seq>CHANGES_KEPT+1&&await trx.
deleteFrom("changes").where("ending_id","=",ending_id).where("seq",">",1).where("seq","<=",seq-CHANGES_KEPT).execute()}}
function rowOf({ending,by,change:change2,from,to},now){let next=sql9`(select coalesce(max(seq), 0) + 1 from changes where ending_id = ${ending.
id})`;return{ending_id:ending.id,seq:next,at:now,by,change:change2,before:JSON.stringify(from),after:JSON.stringify(to)}}
function changesOf(db,endingId){return db.selectFrom("changes").selectAll().where("ending_id","=",endingId).orderBy("seq").
execute()}function noteCancelled(trx,endings,by,now){let states={from:{state:"pending"},to:{state:"cancelled"}};return noteChanges(
trx,endings.map(ending=>({ending,by,change:"cancelled",...states})),now)}function noteMoved(trx,ending,before,by,now){if(ending.
due_at===before.due_at)return Promise.resolve();let from={dueAt:formatTime(before.due_at)},to={dueAt:formatTime(ending.due_at)};
return noteChanges(trx,[{ending,by,change:"moved",from,to}],now)}var PENDING=sql10.lit("pending"),FAILED=sql10.lit("failed");function isUnclaimed(now){return eb=>eb.or([eb("endings.clai\
med_until","is",null),eb("endings.claimed_until","<=",now)])}function cancelling(trx,now){return trx.updateTable("endings").set(eb=>({state:"cancelled",finished_at:now,claim:eb("end\
ings.claim","+",1),claimed_until:null})).where("state","=",PENDING).where(isUnclaimed(now))}async function takeBack(trx,ids,by,now){
if(ids.length===0)return[];let sorted=(await cancelling(trx,now).where("id","in",ids).returningAll().execute()).sort((a,b)=>a.
id<b.id?-1:1);return await noteCancelled(trx,sorted,by,now),sorted}function loadControl(db){return db.selectFrom("control").selectAll().execute()}async function setControl(trx,control){await trx.
insertInto("control").values(control).onConflict(conflict=>conflict.column("name").doUpdateSet({since:sql11`excluded.since`,
until:sql11`excluded.until`,why:sql11`excluded.why`}).where("control.until","<",control.until)).execute()}async function endRefusal(trx,now){
let refusal=await trx.deleteFrom("control").where("name","=","refusal").returningAll().executeTakeFirst();refusal&&await trx.
updateTable("endings").set({retry_since:sql11`case when retry_since < ${refusal.since} then retry_since + ${now-refusal.
since} else ${now} end`}).where("state","=",PENDING).where("retry_since","is not",null).execute()}async function callsSince(db,since){
return(await db.selectFrom("attempts").select("started_at").where("started_at",">",since).orderBy("started_at").execute()).
map(row=>row.started_at)}import{sql as sql12}from"kysely";var DAY_MS=24*36e5;async function backlog(db,now){let{pending}=await db.selectFrom("endings").where("state","=",PENDING).
select(({fn})=>fn.countAll().as("pending")).executeTakeFirstOrThrow(),overdue=await Promise.all(BOTH.map(urgent=>countOverdue(
db,urgent,now))),oldest=await Promise.all(BOTH.map(urgent=>oldestOverdue(db,urgent,now))),{failedLastDay}=await db.selectFrom(
"endings").where("state","=",FAILED).where("finished_at",">",now-DAY_MS).select(({fn})=>fn.countAll().as("failedLastDay")).
executeTakeFirstOrThrow();return{failedLastDay:Number(failedLastDay),pending:Number(pending),overdue:overdue.reduce((sum,count)=>sum+
count,0),oldestOverdue:oldest.filter(at=>at!==void 0).sort((a,b)=>a-b)[0]}}var BOTH=[sql12.lit(0),sql12.lit(1)],FEW=5e3;
async function countOverdue(db,urgent,now){let overdue=db.selectFrom("endings").where("state","=",PENDING).where("urgent",
"=",urgent).where("due_at","<=",now),first2=await overdue.select("due_at").orderBy("due_at").limit(FEW+1).execute();if(first2.
length<=FEW)return first2.length;let{count}=await overdue.select(({fn})=>fn.countAll().as("count")).executeTakeFirstOrThrow();
return Number(count)}async function oldestOverdue(db,urgent,now){return(await db.selectFrom("endings").select("due_at").
where("state","=",PENDING).where("urgent","=",urgent).where("due_at","<=",now).orderBy("due_at").limit(1).executeTakeFirst())?.
due_at}import{sql as sql14}from"kysely";import{SqliteAdapter}from"kysely";var Parameter=class{name;constructor(name2){this.name=name2}};function compiledOnce(build){
let known=new WeakMap,names=new Proxy({},{get:(_,name2)=>new Parameter(String(name2))});return(db,values)=>{let{adapter}=db.
getExecutor(),query=known.get(adapter);query||(query=build(db,names).compile(db),known.set(adapter,query));let parameters=query.
parameters.map(one=>one instanceof Parameter?values[one.name]:one);return db.executeQuery({...query,parameters})}}function engineOf(db){
return db.getExecutor().adapter instanceof SqliteAdapter?"sqlite":"postgres"}import{sql as sql13}from"kysely";var CONFIRM_AFTER_MS=5e3;var MOST_REOPENED=3,firstToConfirm=compiledOnce((db,_)=>db.selectFrom("endings").select("confirm_at").where("confirm_at",
"is not",null).orderBy("confirm_at").limit(1));async function nextConfirmation(db){return(await firstToConfirm(db,{})).rows[0]?.
confirm_at??void 0}var claimFirst=compiledOnce((db,at)=>db.with("picked",()=>{let picked=db.selectFrom("endings").select(
"id").where("confirm_at","<=",at.now).orderBy("confirm_at").limit(1);return engineOf(db)==="postgres"?picked.forUpdate().
skipLocked():picked}).updateTable("endings").set({confirm_at:at.until}).where("id","in",eb=>eb.selectFrom("picked").select(
"picked.id")).returningAll()),unseenSessions=compiledOnce((db,at)=>db.selectFrom("attempts").select("session").distinct().
where("ending_id","=",at.ending).where("result","=","ended").where("confirmed_at","is",null));async function claimConfirmation(trx,now,until){
let[ending]=(await claimFirst(trx,{now,until})).rows;if(!ending)return;let{rows:sessions}=await unseenSessions(trx,{ending:ending.
id});return sessions.length===0&&await trx.updateTable("endings").set({confirmed_at:now,confirm_at:null}).where("id","=",
ending.id).execute(),{ending,sessions:sessions.map(({session})=>session)}}var confirmAttempts=compiledOnce((db,at)=>db.updateTable(
"attempts").set({confirmed_at:at.now}).where("session","=",at.session).where("result","=","ended").where("confirmed_at",
"is",null)),sessionIsOver=compiledOnce((db,at)=>db.updateTable("sessions").set({over_at:at.now}).where("id","=",at.session).
where("over_at","is",null)),confirmEnded=compiledOnce((db,at)=>db.updateTable("endings").set({confirmed_at:at.now,confirm_at:null}).
where("outcome","=","ended").where("confirmed_at","is",null).where("id","in",eb=>eb.selectFrom("attempts").select("endin\
g_id").where("session","=",at.session)).where(({not,exists,selectFrom})=>not(exists(selectFrom("attempts as open").select(
"open.id").whereRef("open.ending_id","=","endings.id").where("open.result","=","ended").where("open.confirmed_at","is",null)))).
returningAll()),finishPending=compiledOnce((db,at)=>db.updateTable("endings").set(eb=>({state:"ended",outcome:sql13`case when exists (select 1 from attempts where ending_id = endings.id and result = 'ended')
        then 'ended' else 'already_ended' end`,finished_at:at.now,confirmed_at:at.now,claim:eb("claim","+",1),claimed_until:null})).
where("state","=",PENDING).where("target_kind","=","session").where("target_id","=",at.session).where(isUnclaimed(at.now)).
returningAll());async function sessionSeenOver(trx,session,now){let seen={session,now};await confirmAttempts(trx,seen),await sessionIsOver(
trx,seen);let[confirmed,finished]=[await confirmEnded(trx,seen),await finishPending(trx,seen)];return[...confirmed.rows,
...finished.rows]}async function postponeConfirmation(trx,id,at){await trx.updateTable("endings").set({confirm_at:at}).where(
"id","=",id).where("confirm_at","is not",null).execute()}var NEVER_AGAIN=Number.MAX_SAFE_INTEGER;async function reopen(trx,{
id,claim,target_id},now){let ending=await trx.updateTable("endings").set(eb=>({state:"pending",outcome:null,finished_at:null,
confirm_at:null,due_at:eb.case().when("next_attempt_at",">",now).then(eb.ref("next_attempt_at")).else(eb.ref("due_at")).
end(),next_attempt_at:eb.case().when("next_attempt_at",">",now).then(eb.ref("next_attempt_at")).else(sql13`cast(${now} as bigint)`).
end(),retry_since:null,retry_base:eb.ref("attempt"),reopened:eb("reopened","+",1),key:sql13`case when exists (select 1 from endings as other where other.state = 'pending'
        and other.requested_by = endings.requested_by and other.key = endings.key) then null else endings.key end`})).where(
"id","=",id).where("claim","=",claim).where("outcome","=","ended").where("confirm_at","is not",null).where("reopened","<",
MOST_REOPENED).where("next_attempt_at","<",NEVER_AGAIN).returningAll().executeTakeFirst();return ending?await noteChanges(
trx,[{ending,by:CURFEW,change:"reopened",...{from:{state:"ended",outcome:"ended"},to:{state:"pending",outcome:null}}}],now):
(await postponeConfirmation(trx,id,null),await trx.deleteFrom("session_limits").where("session","=",target_id).where("en\
ding_id","in",eb=>eb.selectFrom("endings").select("id").where("id","=",id).where("next_attempt_at","=",NEVER_AGAIN)).execute()),
ending}async function claimEndings(trx,limit,now,until,{urgentOnly=!1,retriesLast=!1}={}){let claim=retriesLast?claimRetriesLast:
claimInOrder,{rows}=await claim(trx,{limit:urgentOnly?0:limit,urgent:limit,now,until});return rows.sort(byTurn)}function byTurn(a,b){
return b.urgent-a.urgent||a.due_at-b.due_at||(a.id<b.id?-1:1)}var claimInOrder=compiledOnce((db,at)=>claimFrom(db,at,["a\
ll"])),claimRetriesLast=compiledOnce((db,at)=>claimFrom(db,at,["first attempts","retries"]));function claimFrom(db,at,orders){
let ranges=[1,0].flatMap(urgent=>orders.map(order=>({urgent,order}))),isPostgres=engineOf(db)==="postgres",picks=ranges.
map(({urgent,order},i)=>{let some=ordered(due(db.selectFrom("endings").select("id"),urgent,at.now),order).limit(urgent===
1?at.urgent:at.limit);return sql14`${sql14.ref(`range_${i}`)} as ${isPostgres?some.forUpdate().skipLocked():some}`}),picked=ranges.
map((_,i)=>sql14`select id from ${sql14.ref(`range_${i}`)}`);return sql14`with ${sql14.join(picks)} update endings
    set claim = endings.claim + 1, claimed_until = cast(${at.until} as bigint)
    where id in (select id from (${sql14.join(picked,sql14` union all `)}) as picked limit ${at.urgent})
    returning *`}function ordered(query,which){return which==="retries"?query.where("retry_since","is not",null).orderBy(
"next_attempt_at"):(which==="all"?query:query.where("retry_since","is",null)).orderBy("due_at").orderBy("id")}function due(query,urgent,now){
return query.where("state","=",PENDING).where("urgent","=",sql14.lit(urgent)).where("due_at","<=",now).where("next_attem\
pt_at","<=",now).where(isUnclaimed(now))}var firstDueOf=[1,0].map(urgent=>compiledOnce((db,{now})=>ordered(due(db.selectFrom(
"endings").selectAll(),urgent,now),"all").limit(1)));async function firstDue(db,now){for(let first2 of firstDueOf){let{rows}=await first2(
db,{now});if(rows[0])return rows[0]}}var nextUnclaimed=compiledOnce((db,_)=>db.selectFrom("endings").select("next_attemp\
t_at").where("state","=",PENDING).where("claimed_until","is",null).orderBy("next_attempt_at").limit(1));async function nextAttemptAt(db){
return(await nextUnclaimed(db,{})).rows[0]?.next_attempt_at}async function recordAttempt(trx,claimed,calls,transition,now){
return calls.length>0&&await trx.insertInto("attempts").values(attemptRows(claimed,calls,now)).onConflict(conflict=>conflict.
column("id").doNothing()).execute(),trx.updateTable("endings").set(await changes(trx,claimed,transition,now)).where("id",
"=",claimed.id).where("claim","=",claimed.claim).where("state","=",PENDING).returningAll().executeTakeFirst()}async function changes(trx,claimed,transition,now){
let counted={claimed_until:null,attempt:claimed.attempt+1},trouble="error"in transition&&transition.error!==void 0?{last_error:transition.
error,last_error_at:now}:{};switch(transition.to){case"ended":return{...counted,state:"ended",finished_at:now,...await ended(
trx,claimed,transition.outcome,now)};case"failed":return{...counted,...trouble,state:"failed",failure:transition.failure,
finished_at:now};case"pending":return{...counted,...trouble,next_attempt_at:transition.nextAttemptAt,retry_since:transition.
retrySince};case"released":return{...trouble,claimed_until:null}}}async function ended(trx,{id},outcome,now){return await trx.
selectFrom("attempts").select("id").where("ending_id","=",id).where("result","=","ended").executeTakeFirst()?{outcome:"e\
nded",confirm_at:now+CONFIRM_AFTER_MS}:{outcome,confirmed_at:outcome==="already_ended"?now:null}}function attemptRows(claimed,calls,now){
return calls.map(call=>({...call,ending_id:claimed.id,attempt:claimed.attempt+1,confirmed_at:call.result==="already_ende\
d"?now:null}))}async function clearClaims(trx){let{numUpdatedRows}=await trx.updateTable("endings").set({claimed_until:null}).
where("state","=",PENDING).where("claimed_until","is not",null).executeTakeFirst();return Number(numUpdatedRows)}import{sql as sql17}from"kysely";function mayChange(caller,owner){return caller.operator||caller.name===owner}import{Type as Type2}from"typebox";import{Type}from"typebox";var OneOf=values=>Type.Unsafe({type:"string",enum:[...values],description:`one of ${values.join(", ")}`});var STATES=["pending","ended","failed","cancelled"];var UUID2="^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",TEXT="^[^\\p{Cc}\\p{Cs}]+$",SessionId=Type2.
String({pattern:UUID2,description:"the UUID of a session"}),EndingId=Type2.String({pattern:UUID2,description:"the UUID o\
f an ending"}),Room=Type2.String({pattern:"^[A-Za-z0-9_-]{3,64}$",description:"a string, the UUID of a room or its frien\
dly URL of 3 to 64 letters, digits, - and _"}),RoomExternalId=Type2.String({minLength:1,maxLength:200,pattern:TEXT,description:"\
a string of 1 to 200 characters, the external id of a room, none of them a control character"}),Reason=Type2.String({pattern:"\
^[a-z][a-z0-9_]{0,63}$",description:"a string such as booking_cancelled: a lower-case letter, then up to 63 of those, di\
gits and _"}),Key=Type2.String({minLength:1,maxLength:200,pattern:TEXT,description:"a string of 1 to 200 characters, non\
e of them a control character"}),Time=Type2.String({format:"rfc3339",description:"a time as in RFC 3339 with an offset o\
r Z, for example 2026-11-23T15:00:00Z"}),WarnMinutes=Type2.Array(Type2.Integer({minimum:1,maximum:1440,description:"a wh\
ole number of minutes from 1 to 1440"}),{maxItems:10,uniqueItems:!0,description:"a list of up to ten different numbers o\
f minutes, such as [10, 2]"}),METADATA_BYTES=4096,Metadata=Type2.Record(Type2.String(),Type2.Unknown(),{description:`an \
object of at most ${METADATA_BYTES} bytes of JSON`}),Target=Type2.Object({session:Type2.Optional(SessionId),room:Type2.Optional(
Room),roomExternalId:Type2.Optional(RoomExternalId)},{additionalProperties:!1,minProperties:1,maxProperties:1,description:"\
an object with exactly one of session, room and roomExternalId"}),StateName=OneOf(STATES);function targetColumns(target){
return target.session!==void 0?{target_kind:"session",target_id:target.session.toLowerCase()}:target.room!==void 0?{target_kind:"\
room",target_id:roomId(target.room)}:{target_kind:"external",target_id:target.roomExternalId}}function roomId(room){return new RegExp(
UUID2).test(room)?room.toLowerCase():room}function targetOf(kind,id){return kind==="session"?{session:id}:kind==="room"?
{room:id}:{roomExternalId:id}}var EXTERNAL="external:",MINUTE_MS=6e4,LONGEST_LIMIT_MINUTES=7*24*60;function namesOf({roomId:id,friendlyUrl,externalId}){return[id===null?null:roomId(id),friendlyUrl,externalId===null?null:
EXTERNAL+externalId].filter(name2=>name2!==null)}var isUuid=room=>/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(room);var WORTH_MS=3e4,BETWEEN_WARNINGS_MS=2*MINUTE_MS;function nextWarningAt(dueAt,minutes,now){let ahead=minutes.map(m=>dueAt-m*MINUTE_MS).filter(at=>at>=now),next=ahead.length>
0?Math.min(...ahead):null;return!(ahead.length<minutes.length)||dueAt-now<WORTH_MS||next!==null&&next-now<MINUTE_MS?next:
now}import{setImmediate as nextTurn}from"node:timers/promises";var Turns=class{#most;#done=0;constructor(most){this.#most=most}async spend(units=1){
this.#done+=units,!(this.#done<this.#most)&&(this.#done=0,await nextTurn())}};async function*inPieces(list,size=100){for(let from=0;from<
list.length;from+=size)from>0&&await nextTurn(),yield list.slice(from,from+size)}import{randomBytes}from"node:crypto";import{v7 as uuidv7}from"uuid";var POOL_BYTES=4096,ID_BYTES=16,sequence=0,pool=randomBytes(
POOL_BYTES),used=0;function newId(now){return sequence=(sequence+1)%4294967296,uuidv7({msecs:now,seq:sequence,random:random16()})}
function random16(){return used+ID_BYTES>pool.length&&(pool=randomBytes(POOL_BYTES),used=0),used+=ID_BYTES,pool.subarray(
used-ID_BYTES,used)}import{sql as sql15}from"kysely";var MOST_HOLDS=1e4;async function countHolds(db,requestedBy,now){let own=db.selectFrom("holds").select(sql15`1`.as("one")).where("requested\
_by","=",requestedBy).where("lifted_at","is",null).limit(MOST_HOLDS),counts=[own.where("until_at","is",null),own.where("\
until_at",">",now)].map(async some=>{let{count}=await db.selectFrom(some.as("some")).select(eb=>eb.fn.countAll().as("cou\
nt")).executeTakeFirstOrThrow();return Number(count)}),[open,ahead]=await Promise.all(counts);return open+ahead}var HoldsLeft=class{#trx;#now;#left=new Map;constructor(trx,now){
this.#trx=trx,this.#now=now}async take(party){let left=this.#left.get(party)??MOST_HOLDS-await countHolds(this.#trx,party,
this.#now);if(left<=0)throw new TooManyError(`${party} keeps ${MOST_HOLDS} rooms closed already, now or in time to come;\
 that is the most`);this.#left.set(party,left-1)}giveBack(party){let left=this.#left.get(party);left!==void 0&&this.#left.
set(party,left+1)}};import{sql as sql16}from"kysely";function nameOf({room_kind,room}){return room_kind==="external"?`external:${room}`:room}var START_RESOLUTION_MS=1e3;function holdsOn(holds,session){
let names=namesOf(session),found=new Map;for(let hold of holds)session.startedAt>hold.from_at-START_RESOLUTION_MS&&names.
includes(nameOf(hold))&&!found.has(hold.requested_by)&&found.set(hold.requested_by,hold);return[...found.values()]}function current(query,now){
let open=query.where("lifted_at","is",null);return[open.where("until_at","is",null),open.where("until_at",">",now)]}async function holdsInForce(db,rooms,now,engine){
let ids=(await Promise.all(byKind(rooms).map(([kind,names])=>firstOfEach(db,kind,names,now)))).flat();return ids.length===
0?[]:(await db.selectFrom("holds").selectAll().where("id","in",ids).where("lifted_at","is",null).$if(engine==="postgres",
query=>query.forShare()).execute()).sort((a,b)=>a.from_at-b.from_at||(a.id<b.id?-1:1))}function byKind(rooms){let plain=rooms.
flatMap(room=>namesOf({...room,externalId:null})),external=rooms.flatMap(({externalId})=>externalId??[]);return[["room",
[...new Set(plain)]],["external",[...new Set(external)]]].filter(([,names])=>names.length>0)}async function firstOfEach(db,kind,names,now){
let ranked=db.selectFrom("holds").select(["id",sql16`row_number() over (partition by room, requested_by order by from_at, id)`.
as("nth")]).where("lifted_at","is",null).where("room_kind","=",kind).where("room","in",names).where("from_at","<=",now).
where(eb=>eb.or([eb("until_at","is",null),eb("until_at",">",now)]));return(await db.selectFrom(ranked.as("ranked")).select(
"id").where("nth","=",1).execute()).map(({id})=>id)}async function hasHolds(db,requestedBy,now){let own=db.selectFrom("holds").select("id").where("requested_by","=",requestedBy).
orderBy("until_at").limit(1);for(let range of current(own,now))if(await range.executeTakeFirst())return!0;return!1}function namesIn({room_id,friendly_url,external_id}){return{roomId:room_id,friendlyUrl:friendly_url,externalId:external_id}}var BOOKING="booking:",LIFTED_AT_ONCE=500,Closures=class{#trx;#now;#left;#isBooked;constructor(trx,now,isBooked=async()=>!1){
this.#trx=trx,this.#now=now,this.#left=new HoldsLeft(trx,now),this.#isBooked=isBooked}async close(closures){let rows=[];
for(let{endingId,...closure}of closures){let{requestedBy,subject}=closure;subject?.startsWith(BOOKING)&&await this.#isBooked(
closure)||(await this.#left.take(requestedBy),rows.push(this.#row(closure,endingId)))}for await(let some of inPieces(rows))
await this.#trx.insertInto("holds").values(some).execute()}#row({requestedBy,room,from,until,reason,subject},endingId){let{
target_kind,target_id}=targetColumns(room);return{id:newId(this.#now),room_kind:target_kind,room:target_id,by_id:target_kind===
"room"&&isUuid(roomId(target_id))?1:0,from_at:from,until_at:until,requested_by:requestedBy,reason,subject,ending_id:endingId,
created_at:this.#now,lifted_at:null,lifted_by:null}}async lift(choice,by){let now=this.#now,query=this.#trx.updateTable(
"holds").set({lifted_at:now,lifted_by:by}).where("lifted_at","is",null).where(eb=>eb.or([eb("until_at","is",null),eb("un\
til_at",">",now)]));if("id"in choice)query=query.where("id","=",choice.id);else if("endingId"in choice)query=query.where(
"ending_id","=",choice.endingId);else if("subject"in choice)query=query.where("requested_by","=",choice.requestedBy).where(
"subject","=",choice.subject);else{let{target_kind,target_id}=targetColumns(choice.room);query=query.where("requested_by",
"=",choice.requestedBy).where("room_kind","=",target_kind).where("room","=",target_id).where("subject","like",`${choice.
subjectPrefix}%`).where("from_at","<",choice.until).where(eb=>eb.or([eb("until_at","is",null),eb("until_at",">",choice.from)]))}
let holds=await query.returningAll().execute();for(let{requested_by}of holds)this.#left.giveBack(requested_by);return{holds,
endings:await release(this.#trx,holds,by,now)}}async move(before,dueAt,by){let now=this.#now,moved=await this.#trx.updateTable(
"holds").set(eb=>({from_at:eb.case().when("until_at","<",dueAt).then(eb.ref("until_at").$castTo()).else(eb.val(dueAt)).end()})).
where("ending_id","=",before.id).where("lifted_at","is",null).where(eb=>eb.or([eb("until_at","is",null),eb("until_at",">",
now)])).where(eb=>eb.or([eb("from_at","=",before.due_at),eb.and([eb("from_at","=",eb.ref("until_at")),eb("until_at","<",
before.due_at)])])).returningAll().execute();return release(this.#trx,moved,by,now)}};async function release(trx,holds,by,now){
let freed=[];for(let from=0;from<holds.length;from+=LIFTED_AT_ONCE){let ids=holds.slice(from,from+LIFTED_AT_ONCE).map(({
id})=>id),rows=await endingsOf(trx,ids,now);if(rows.length===0)continue;let others=await holdsInForce(trx,rows.map(namesIn),
now),orphans=[];for(let row of rows){let other=holdsOn(others,{...namesIn(row),startedAt:row.started_at}).find(({requested_by})=>requested_by===
row.requested_by);other?other.id!==row.hold_id&&await standFor(trx,row,other):orphans.push(row.ending_id)}let endings=await takeBack(
trx,orphans,by,now);freed.push(...endings);let gone=endings.map(({id})=>id);gone.length>0&&await trx.deleteFrom("session\
_holds").where("ending_id","in",gone).execute()}return freed}function endingsOf(trx,holds,now){return trx.selectFrom("se\
ssion_holds").innerJoin("sessions","sessions.id","session_holds.session").innerJoin("endings","endings.id","session_hold\
s.ending_id").selectAll("sessions").select(["session_holds.requested_by","session_holds.hold_id","session_holds.ending_i\
d"]).where("session_holds.hold_id","in",holds).where("endings.state","=",PENDING).where(isUnclaimed(now)).execute()}async function standFor(trx,{
id,ending_id},hold){await trx.updateTable("session_holds").set({hold_id:hold.id}).where("session","=",id).where("request\
ed_by","=",hold.requested_by).execute(),await trx.updateTable("endings").set({subject:hold.subject,metadata:heldFor(hold)}).
where("id","=",ending_id).execute()}var heldFor=({id,ending_id})=>JSON.stringify({hold:id,ending:ending_id});function moveEnding(trx,id,caller,to,now){return change(trx,id,caller,"pending",async before=>{let dueAt=typeof to=="num\
ber"?to:Math.max(before.due_at,now)+to.extendMs;if(dueAt>oneYearAfter(now))return{obstacle:"too-far"};let ending=await unclaimed(
trx,id,now).where("claim","=",before.claim).set(dueAnew(dueAt,before,now)).returningAll().executeTakeFirst();if(ending)return await noteMoved(
trx,ending,before,caller.name,now),{ending,takenBack:await new Closures(trx,now).move(before,dueAt,caller.name)}})}function cancelEnding(trx,id,caller,now){
return change(trx,id,caller,"pending",async()=>{let ending=await cancelling(trx,now).where("id","=",id).returningAll().executeTakeFirst();
if(!ending)return;await noteCancelled(trx,[ending],caller.name,now);let{endings:takenBack}=await new Closures(trx,now).lift(
{endingId:ending.id},caller.name);return{ending,takenBack}})}function retryEnding(trx,id,caller,now){return change(trx,id,
caller,"failed",async before=>{let ending=await trx.updateTable("endings").set(eb=>({state:"pending",failure:null,finished_at:null,
next_attempt_at:now,retry_since:null,retry_base:eb.ref("attempt"),claimed_until:null})).where("id","=",id).where("state",
"=","failed").where(({not,exists,selectFrom})=>not(exists(selectFrom("endings as other").select("other.id").where("other\
.state","=",PENDING).whereRef("other.requested_by","=","endings.requested_by").whereRef("other.key","=","endings.key")))).
returningAll().executeTakeFirst();if(!ending)return;let from={state:"failed",failure:before.failure};return await noteChanges(
trx,[{ending,by:caller.name,change:"retried",from,to:{state:"pending",failure:null}}],now),{ending}})}function dueAnew(dueAt,{
warn_minutes},now){return{...newClaim,due_at:dueAt,next_attempt_at:Math.max(dueAt,now),warn_at:warn_minutes===null?null:
nextWarningAt(dueAt,JSON.parse(warn_minutes),now)}}var newClaim={retry_since:null,retry_base:sql17`endings.attempt`,claim:sql17`endings.claim + 1`,
claimed_until:null};function unclaimed(trx,id,now){return trx.updateTable("endings").where("id","=",id).where("state","=",
PENDING).where(isUnclaimed(now))}async function change(trx,id,caller,from,update){let before=await findEnding(trx,id);if(!before)
return{obstacle:"not-found"};if(!mayChange(caller,before.requested_by))return{obstacle:"forbidden"};let changed=await update(
before);if(changed)return changed;let state=(await findEnding(trx,id))?.state;return from==="failed"?{obstacle:state==="\
failed"?"key-taken":"not-failed"}:{obstacle:state==="pending"?"in-progress":"not-pending"}}function findEnding(db,id){return db.
selectFrom("endings").selectAll().where("id","=",id.toLowerCase()).executeTakeFirst()}function finishedAmong(db,ids){return db.
selectFrom("endings").selectAll().where("id","in",ids).where("state","!=",PENDING).execute()}function attemptsOf(db,id){
return db.selectFrom("attempts").selectAll().where("ending_id","=",id).orderBy("started_at").orderBy("id").execute()}var BATCH=500;async function hastenRetries(trx,now){let{numUpdatedRows}=await trx.updateTable("endings").set({next_attempt_at:now}).
where("id","in",eb=>eb.selectFrom("endings").select("id").where("state","=",PENDING).where("retry_since","is not",null).
where("next_attempt_at",">",now).where("claimed_until","is",null).orderBy("next_attempt_at").limit(BATCH)).executeTakeFirst(),
hastened=Number(numUpdatedRows);return{hastened,more:hastened===BATCH}}import{sql as sql18}from"kysely";var REMEMBERED_MS=24*36e5,NOT_KNOWN_YET="";async function withIdempotency(trx,request,now,work){if(!request)return work();
let known=await remember(trx,request,now);if(known==="mismatch")return{obstacle:"idempotency-mismatch"};if(known!=="new"){
let ending=await findEnding(trx,known.endingId);return ending?{ending,replayed:!0}:{obstacle:"not-found"}}let result=await work();
return"ending"in result?await name(trx,request,result.ending.id):await forget(trx,request),result}async function remember(trx,request,now){
if(await trx.insertInto("idempotency_keys").values({...request,ending_id:NOT_KNOWN_YET,created_at:now}).onConflict(conflict=>conflict.
columns(["caller","key"]).doUpdateSet({fingerprint:sql18`excluded.fingerprint`,ending_id:sql18`excluded.ending_id`,created_at:sql18`excluded.created_at`}).
where("idempotency_keys.created_at","<=",now-REMEMBERED_MS)).returning("ending_id").executeTakeFirst())return"new";let known=await trx.
selectFrom("idempotency_keys").select(["fingerprint","ending_id"]).where("caller","=",request.caller).where("key","=",request.
key).executeTakeFirstOrThrow();return known.fingerprint===request.fingerprint?{endingId:known.ending_id}:"mismatch"}async function name(trx,{
caller,key},endingId){await trx.updateTable("idempotency_keys").set({ending_id:endingId}).where("caller","=",caller).where(
"key","=",key).execute()}async function forget(trx,{caller,key}){await trx.deleteFrom("idempotency_keys").where("caller",
"=",caller).where("key","=",key).execute()}import{sql as sql19}from"kysely";var LOOKED_THROUGH=5e3,IDS_AT_ONCE=250;async function pageOfEndings(db,filter,limit){let due2=await dueOnes(db,filter);return due2?
pageAmong(db,due2,filter,limit):pageOfWalk(db,filter,limit)}async function pageOfWalk(db,filter,limit){let{before}=filter,
behind=query2=>before===void 0?query2:query2.where("id","<",before.toLowerCase()),{walked,isWhole}=walkOf(db,filter),end=isWhole?
void 0:await walked(behind(db.selectFrom("endings").select("id"))).orderBy("id","desc").offset(LOOKED_THROUGH-1).limit(1).
executeTakeFirst(),query=narrowed(walked(behind(db.selectFrom("endings").selectAll())),filter);end&&(query=query.where("\
id",">=",end.id));let rows=await query.orderBy("id","desc").limit(limit+1).execute();return pageOf(rows,limit,end?.id)}async function pageAmong(db,ids,filter,limit){
let rows=[];for(let from=0;from<ids.length&&rows.length<=limit;from+=IDS_AT_ONCE){let some=db.selectFrom("endings").selectAll().
where("id","in",ids.slice(from,from+IDS_AT_ONCE));rows.push(...await narrowed(some,filter).orderBy("id","desc").execute())}
return pageOf(rows,limit,void 0)}function pageOf(rows,limit,end){let endings=rows.slice(0,limit);return{endings,next:rows.
length>limit?endings.at(-1)?.id:end}}function walkOf(db,filter){let{state,session,room,key,subject}=filter;if(session!==
void 0)return{walked:query=>query.where("id","in",ofSession(db,session)),isWhole:!0};let others=(...but)=>Object.keys(filter).
some(name2=>name2!=="before"&&filter[name2]!==void 0&&!but.includes(name2));if(room!==void 0&&state==="pending")return{walked:query=>query.
where("id","in",pendingInRoom(db,room)),isWhole:!0};if(key!==void 0)return{walked:query=>query.where("key","=",key),isWhole:!others(
"key")};if(subject!==void 0)return{walked:query=>query.where("subject","=",subject),isWhole:!others("subject")};if(room!==
void 0)return{walked:query=>query.where("target_id","=",roomId(room)),isWhole:!others("room")};if(state==="pending"||state===
"failed"){let literal=state==="pending"?PENDING:FAILED;return{walked:query=>query.where("state","=",literal),isWhole:!others(
"state")}}return{walked:query=>query,isWhole:!others()}}function ofSession(db,session){let id=session.toLowerCase();return db.
selectFrom("endings").select("id").where("target_id","=",id).where("target_kind","=","session").union(db.selectFrom("att\
empts").select("ending_id as id").where("session","=",id))}function pendingInRoom(db,room){return db.selectFrom("endings").
select("id").where("state","=",PENDING).where("target_id","=",roomId(room)).where("target_kind","=","room")}async function dueOnes(db,{
state,dueBefore,dueAfter,before="~"}){if(state!=="pending"||dueBefore===void 0&&dueAfter===void 0)return;let found=[];for(let urgent of[
1,0]){let ids=db.selectFrom("endings").select("id").where("state","=",PENDING).where("urgent","=",sql19.lit(urgent)).orderBy(
"due_at").limit(LOOKED_THROUGH+1);dueBefore!==void 0&&(ids=ids.where("due_at","<",dueBefore)),dueAfter!==void 0&&(ids=ids.
where("due_at",">",dueAfter));for(let{id}of await ids.execute())found.push(id);if(found.length>LOOKED_THROUGH)return}return found.
filter(id=>id<before.toLowerCase()).sort().reverse()}function narrowed(query,filter){let narrow=query;return filter.state&&
(narrow=narrow.where("state","=",sql19.lit(filter.state))),filter.reason!==void 0&&(narrow=narrow.where("reason","=",filter.
reason)),filter.key!==void 0&&(narrow=narrow.where("key","=",filter.key)),filter.subject!==void 0&&(narrow=narrow.where(
"subject","=",filter.subject)),filter.requestedBy!==void 0&&(narrow=narrow.where("requested_by","=",filter.requestedBy)),
filter.dueBefore!==void 0&&(narrow=narrow.where("due_at","<",filter.dueBefore)),filter.dueAfter!==void 0&&(narrow=narrow.
where("due_at",">",filter.dueAfter)),filter.room!==void 0&&(narrow=narrow.where("target_kind","=","room").where("target_\
id","=",roomId(filter.room))),narrow}var Starts=class{#starter;#clock;#reserved=[];constructor(starter,clock){this.#starter=starter,this.#clock=clock}claimFor({
dueAt}){if(dueAt>this.#clock.now())return null;let start=this.#starter?.reserve();return start&&this.#reserved.push(start),
start?.claimedUntil??null}begin(ending){ending.state==="pending"&&ending.claimed_until!==null&&this.#reserved.pop()?.begin(
ending)}giveBack(){for(let start of this.#reserved.splice(0))start.giveBack()}};import{sql as sql20}from"kysely";var recordSuccesses={run:async(trx,successes)=>{let changed=engineOf(trx)==="postgres"?await inOne(trx,successes):await oneByOne(
trx,successes),answers=[];for(let{claimed,now}of successes){let after=changed.get(claimed.id);after&&after.claim!==claimed.
claim?answers.push(await findEnding(trx,claimed.id)):answers.push(after&&{...claimed,...OVER,...after,finished_at:now})}
return answers},isOneStatement:(_,engine)=>engine==="postgres"},OVER={state:"ended",outcome:"ended",claimed_until:null},
RETURNED=sql20.raw("endings.id, endings.claim, endings.attempt, endings.confirm_at, endings.confirmed_at"),ATTEMPT_COLUMNS={
id:"text",ending_id:"text",attempt:"integer",session:"text",started_at:"bigint",duration_ms:"integer",status:"integer",result:"\
text",error:"text",confirmed_at:"bigint"},COLUMNS=Object.keys(ATTEMPT_COLUMNS),insertAttempt=compiledOnce((db,row)=>db.insertInto(
"attempts").values(Object.fromEntries(COLUMNS.map(column=>[column,row[column]]))).onConflict(conflict=>conflict.column("\
id").doNothing())),endOne=compiledOnce((db,at)=>db.updateTable("endings").set(eb=>({state:"ended",outcome:"ended",finished_at:at.
now,claimed_until:null,attempt:eb("attempt","+",1),confirm_at:sql20`case when confirmed_at is null then cast(${at.confirmAt} as bigint) end`})).
where("id","=",at.id).where(eb=>eb.or([eb("state","=",PENDING),eb("outcome","=","already_ended")])).where("target_kind",
"=",at.kind).where("target_id","=",at.target).where(eb=>eb.or([eb("target_kind","=",sql20.lit("session")),eb("due_at","=",
at.dueAt)])).returning(["id","claim","attempt","confirm_at","confirmed_at"]));function doneOf({claimed,now}){let{id,target_kind:kind,
target_id:target,due_at:dueAt}=claimed;return{id,kind,target,dueAt,now,confirmAt:now+CONFIRM_AFTER_MS}}async function oneByOne(trx,successes){
let changed=new Map;for(let success of successes){for(let row of attemptRows(success.claimed,success.calls,success.now))
await insertAttempt(trx,row);let[after]=(await endOne(trx,doneOf(success))).rows;after&&changed.set(after.id,after)}return changed}
var endTogether=compiledOnce((_,at)=>{let columns=sql20.raw(COLUMNS.join(", ")),types=sql20.raw(COLUMNS.map(column=>`${column}\
 ${ATTEMPT_COLUMNS[column]}`).join(", "));return sql20`with made as (
      insert into attempts (${columns})
      select ${columns} from jsonb_to_recordset(cast(${at.attempts} as jsonb)) as made (${types})
      on conflict (id) do nothing)
    update endings set state = 'ended', outcome = 'ended', finished_at = done.now, claimed_until = null,
      attempt = endings.attempt + 1,
      confirm_at = case when endings.confirmed_at is null then done."confirmAt" end
    from jsonb_to_recordset(cast(${at.done} as jsonb))
      as done (id text, kind text, target text, "dueAt" bigint, now bigint, "confirmAt" bigint)
    where endings.id = done.id and (endings.state = ${PENDING} or endings.outcome = 'already_ended')
      and endings.target_kind = done.kind and endings.target_id = done.target
      and (endings.target_kind = 'session' or endings.due_at = done."dueAt")
    returning ${RETURNED}`});async function inOne(trx,successes){let sorted=[...successes].sort((a,b)=>a.claimed.id<b.claimed.
id?-1:1),attempts=sorted.flatMap(({claimed,calls,now})=>attemptRows(claimed,calls,now)),{rows}=await endTogether(trx,{attempts:JSON.
stringify(attempts),done:JSON.stringify(sorted.map(doneOf))});return new Map(rows.map(row=>[row.id,row]))}import{setImmediate as nextTurn2}from"node:timers/promises";import{sql as sql22}from"kysely";import{sql as sql21}from"kysely";var REPLACED2=["target_kind","target_id","reason","subject","urgent","due_at","metadata","warn_minutes"];function previousOf(db){
let pairs=sql21.raw(REPLACED2.map(column=>`'${column}', endings.${column}`).join(", "));return engineOf(db)==="sqlite"?sql21`json_object(${pairs})`:
sql21`json_build_object(${pairs})::text`}async function noteReplaced(trx,answers,now){let notes=new Map;for(let answer2 of answers)
if("ending"in answer2&&answer2.replaced){let{ending}=answer2,before=JSON.parse(ending.previous);notes.set(ending.id,{ending,
by:ending.requested_by,change:"replaced",...difference(before,ending)})}notes.size>0&&await noteChanges(trx,[...notes.values()],
now)}function difference(before,after){let[from,to]=[viewOf(before),viewOf(after)],differs=Object.keys(to).filter(name2=>JSON.
stringify(from[name2])!==JSON.stringify(to[name2])),only=view=>Object.fromEntries(differs.map(name2=>[name2,view[name2]]));
return{from:only(from),to:only(to)}}function viewOf(row){return{target:targetOf(row.target_kind,row.target_id),reason:row.
reason,subject:row.subject,urgent:row.urgent===1,dueAt:formatTime(row.due_at),metadata:JSON.parse(row.metadata),warnMinutes:row.
warn_minutes===null?null:JSON.parse(row.warn_minutes)}}function upserts(clock,warnMinutes){return{run:(trx,all)=>upsertEndings(trx,all,clock.now(),warnMinutes),isOneStatement:(all,engine)=>all.
every(({instruction:{key,hold}})=>key===null&&!hold)&&(engine==="postgres"?all.length<=MOST_ROWS:ROWS_IN_ONE2.includes(all.
length))}}var ROWS_IN_ONE2=[64,16,4,1],MOST_ROWS=200;async function upsertEndings(trx,all,now,warnMinutes=[],closures){let rows=all.
map(one=>newRow(one,now,one.instruction.warnMinutes??warnMinutes)),order=lockOrder(rows),sorted=order.map(i=>rows[i]),answers=new Array(
rows.length);for(let from=0;from<rows.length;){let count=howMany(sorted,from,engineOf(trx)),some=await upsertSome(trx,sorted.
slice(from,from+count),now);for(let[i,answer2]of some.entries())answers[order[from+i]]=answer2;from+=count,from<rows.length&&
await nextTurn2()}return await noteReplaced(trx,answers,now),(closures||all.some(isAboutHolds))&&await keepClosed(closures??
new Closures(trx,now),all,answers),answers}var isAboutHolds=({instruction:{key,hold}})=>key!==null||hold!==void 0;function lockOrder(rows){
let order=rows.map((_,i)=>i);if(rows.every(({key})=>key===null))return order;let names=rows.map(row=>nameOf2(row)??"");return order.
sort((a,b)=>{let[one,other]=[names[a],names[b]];return one===other?a-b:one<other?-1:1})}async function keepClosed(closures,all,answers){
let closing=[];for(let[i,answer2]of answers.entries()){if("obstacle"in answer2)continue;let{requestedBy,reason,subject,target:room,
hold}=all[i].instruction,{ending,replaced}=answer2;if(replaced){await closures.close(closing.splice(0));let{endings}=await closures.
lift({endingId:ending.id},requestedBy);endings.length>0&&(answer2.takenBack=endings)}hold&&closing.push({...hold,room,requestedBy,
reason,subject,endingId:ending.id})}await closures.close(closing)}function howMany(rows,from,engine){let isPossible=count=>engine===
"postgres"?count<=MOST_ROWS:ROWS_IN_ONE2.includes(count),seen=new Set,most=1;for(let count=1;from+count<=rows.length&&count<=
MOST_ROWS;count+=1){let name2=nameOf2(rows[from+count-1]);if(name2!==void 0&&seen.has(name2))break;name2!==void 0&&seen.
add(name2),isPossible(count)&&(most=count)}return most}function nameOf2({requested_by,key}){return key===null?void 0:`${requested_by}\
 ${key}`}async function upsertSome(trx,rows,now){let kept=engineOf(trx)==="postgres"?await upsertAsJson(trx,{rows:JSON.stringify(
rows),now}):await upsertRows[rows.length](trx,valuesOf(rows,now)),byId=new Map(kept.rows.map(row=>[row.id,row])),byName=new Map(
kept.rows.map(row=>[nameOf2(row),row]));return rows.map(row=>{let kept2=byId.get(row.id)??(row.key===null?void 0:byName.
get(nameOf2(row)));return kept2?{ending:{...row,...kept2,retry_base:kept2.attempt},replaced:kept2.id!==row.id}:{obstacle:"\
in-progress"}})}var KEPT=["id","created_at","attempt","claim","claimed_until","reopened","requested_by","key","previous",
"last_error","last_error_at"],parameter=(row,column)=>`${column} ${row}`;function valuesOf(rows,now){let values={now};for(let[
i,row]of rows.entries())for(let column of COLUMNS2)values[parameter(i,column)]=row[column];return values}var upsertRows=Object.
fromEntries(ROWS_IN_ONE2.map(count=>[count,compiledOnce((db,at)=>{let rows=Array.from({length:count},(_,i)=>Object.fromEntries(
COLUMNS2.map(column=>[column,at[parameter(i,column)]]))),insert=db.insertInto("endings").values(rows);return replacing(db,
insert,at.now)})])),upsertAsJson=compiledOnce((db,at)=>{let types=sql22.raw(COLUMNS2.map(column=>`${column} ${ENDING_COLUMNS[column]}`).
join(", ")),named=sql22`(select * from jsonb_to_recordset(cast(${at.rows} as jsonb)) as row (${types}))`,values=COLUMNS2.
map(column=>column==="claimed_until"?unlessOthersAreDue(db,at.now).as(column):sql22.ref(column).as(column)),insert=db.insertInto(
"endings").columns(COLUMNS2).expression(db.selectFrom(named.as("row")).select(values));return replacing(db,insert,at.now)});
function unlessOthersAreDue(db,now){let others=db.selectFrom("endings as other").select("other.id").where("other.state",
"=",PENDING).where("other.next_attempt_at","<=",now).where(eb=>eb.or([eb("other.claimed_until","is",null),eb("other.clai\
med_until","<=",now)]));return sql22`case when row.claimed_until is not null and not exists ${others} then row.claimed_until end`}
function replacing(db,insert,now){return insert.onConflict(conflict=>conflict.columns(["requested_by","key"]).where("sta\
te","=",PENDING).where("key","is not",null).doUpdateSet(eb=>({target_kind:eb.ref("excluded.target_kind"),target_id:eb.ref(
"excluded.target_id"),reason:eb.ref("excluded.reason"),subject:eb.ref("excluded.subject"),urgent:eb.ref("excluded.urgent"),
metadata:eb.ref("excluded.metadata"),due_at:eb.ref("excluded.due_at"),next_attempt_at:eb.ref("excluded.next_attempt_at"),
warn_minutes:eb.ref("excluded.warn_minutes"),warn_at:eb.ref("excluded.warn_at"),previous:previousOf(db),...newClaim,claimed_until:eb.
ref("excluded.claimed_until")})).where(eb=>eb.or([eb("endings.claimed_until","is",null),eb("endings.claimed_until","<=",
now)]))).returning([...KEPT])}var ENDING_COLUMNS={id:"text",state:"text",target_kind:"text",target_id:"text",reason:"tex\
t",requested_by:"text",key:"text",subject:"text",urgent:"integer",due_at:"bigint",next_attempt_at:"bigint",attempt:"inte\
ger",claim:"integer",claimed_until:"bigint",retry_since:"bigint",retry_base:"integer",outcome:"text",failure:"text",created_at:"\
bigint",finished_at:"bigint",confirmed_at:"bigint",metadata:"text",confirm_at:"bigint",reopened:"integer",warn_minutes:"\
text",warn_at:"bigint",previous:"text",last_error:"text",last_error_at:"bigint"},COLUMNS2=Object.keys(ENDING_COLUMNS);function newRow({
instruction,claimedUntil},now,warnMinutes){return{id:newId(now),state:"pending",...targetColumns(instruction.target),reason:instruction.
reason,requested_by:instruction.requestedBy,key:instruction.key,subject:instruction.subject,urgent:instruction.urgent?1:
0,due_at:instruction.dueAt,next_attempt_at:Math.max(instruction.dueAt,now),attempt:0,claim:claimedUntil===null?0:1,claimed_until:claimedUntil,
retry_since:null,retry_base:0,outcome:null,failure:null,created_at:now,finished_at:null,confirmed_at:null,metadata:JSON.
stringify(instruction.metadata),confirm_at:null,reopened:0,warn_minutes:warnMinutes.length>0?JSON.stringify(warnMinutes):
null,warn_at:warnMinutes.length>0?nextWarningAt(instruction.dueAt,warnMinutes,now):null,previous:null,last_error:null,last_error_at:null}}var MOST_ENTRIES=200,MOST_ITEMS=200,LONGEST_COMMIT_MS=20,GroupCommit=class{#db;#verify;#waiting=[];#long=[];#running=!1;constructor(db,verify=()=>{}){
this.#db=db,this.#verify=verify}run(work,{isLong=!1,order=""}={}){let alone={run:async trx=>[await work(trx)],isOneStatement:()=>!1};
return this.#enqueue(isLong?this.#long:this.#waiting,alone,null,order)}add(work,item){return this.#enqueue(this.#waiting,
work,item,"")}#enqueue(queue,work,item,order){return new Promise((resolve,reject)=>{let caller={resolve,reject},open=queue.
findLast(entry=>entry.work===work);open&&open.items.length<MOST_ITEMS?(open.items.push(item),open.callers.push(caller)):
queue.push({work,items:[item],callers:[caller],order}),!this.#running&&(this.#running=!0,setImmediate(()=>void this.#drain()))})}async#drain(){
for(;this.#waiting.length+this.#long.length>0;)await this.#commit(this.#waiting),await this.#commit(this.#long);this.#running=
!1}async#commit(queue){let entries=queue.splice(0,MOST_ENTRIES);if(entries.length>1&&entries.sort(byOrder),entries.length!==
0)try{let done=await this.#statement(entries)??await this.#transaction(entries,straight)??await this.#transaction(entries,
withSavepoints);queue.unshift(...entries.slice(done?.count)),done?.tell()}catch(error){for(let{callers}of entries)for(let{
reject}of callers)reject(error)}}async#statement([entry,other]){if(!(!entry||other||!entry.work.isOneStatement(entry.items,
engineOf(this.#db)))){this.#verify();try{let answers=await entry.work.run(this.#db,entry.items);return{count:1,tell:()=>answer(
entry,answers)}}catch(error){if(isTrouble(error))throw error;return}}}async#transaction(entries,runAll){let trx=await this.#db.
startTransaction().execute();try{let done=await runAll(trx,entries);return done?(this.#verify(),await trx.commit().execute()):
await trx.rollback().execute().catch(ignore),done}catch(error){throw!trx.isCommitted&&!trx.isRolledBack&&await trx.rollback().
execute().catch(ignore),error}}};async function straight(trx,entries){let until=performance.now()+LONGEST_COMMIT_MS,tell=[];
for(let entry of entries){if(tell.length>0&&performance.now()>until)break;try{let answers=await entry.work.run(trx,entry.
items);tell.push(()=>answer(entry,answers))}catch{return}}return{count:tell.length,tell:()=>tell.forEach(one=>void one())}}
async function withSavepoints(trx,entries){let tell=[];for(let{work,items,callers}of entries)for(let[i,item]of items.entries()){
let{resolve,reject}=callers[i],guarded=await trx.savepoint("one").execute();try{let[value]=await work.run(guarded,[item]);
await guarded.releaseSavepoint("one").execute(),tell.push(()=>resolve(value))}catch(error){await guarded.rollbackToSavepoint(
"one").execute(),tell.push(()=>reject(error))}}return{count:entries.length,tell:()=>tell.forEach(one=>void one())}}function answer({
callers},answers){callers.forEach(({resolve},i)=>void resolve(answers[i]))}function byOrder(a,b){return a.order===b.order?
0:a.order<b.order?-1:1}function ignore(){}var Bookings=class{#trx;#sender;#subjects;#applied=new Set;#byRoom=new Map;constructor(trx,sender,subjects){this.#trx=trx,
this.#sender=sender,this.#subjects=subjects}subject(name2){return this.#subjects.get(name2)}set(name2,subject){this.#subjects.
set(name2,subject),this.#applied.add(name2),this.#note(name2,subject)}async has({room,from,until}){for(let name2 of this.#byRoom.
get(nameOf3(room))??[]){let booked=this.#subjects.get(name2)?.booked;if(!(!booked||nameOf3(booked.room)!==nameOf3(room)||
booked.until<=from)&&(until===null||booked.from===null||booked.from<until))return!0}let{target_kind,target_id}=targetColumns(
room),before=this.#trx.selectFrom("endings").innerJoin("subjects",join=>join.onRef("subjects.sender","=","endings.reques\
ted_by").onRef("subjects.subject","=","endings.subject")).select("subjects.subject").where("endings.state","=",PENDING).
where("endings.target_kind","=",target_kind).where("endings.target_id","=",target_id).where("endings.requested_by","=",this.#sender).
where("endings.due_at",">",from).where("subjects.booked_until","is not",null).limit(this.#applied.size+1);return until!==
null&&(before=before.where(eb=>eb.or([eb("booked_from","is",null),eb("booked_from","<",until)]))),(await before.execute()).
some(({subject})=>!this.#applied.has(subject))}#note(name2,{booked}){if(!booked)return;let names=this.#byRoom.get(nameOf3(
booked.room))??new Set;this.#byRoom.set(nameOf3(booked.room),names.add(name2))}};function nameOf3(room){let{target_kind,
target_id}=targetColumns(room);return`${target_kind} ${target_id}`}var Changes=class{#trx;#setting;#waiting=[];constructor(trx,setting){this.#trx=trx,this.#setting={...setting}}async apply(change2,note){
this.#setting.holding&&await this.#lift(change2,note);let taken=change2.withdraw?await this.#withdraw(change2.withdraw,note):
void 0;this.#waiting.push(...change2.store.map(instruction=>({instruction,note}))),change2.close&&await this.#close(change2.
close,taken?.id??null),(change2.close||change2.store.some(({hold})=>hold))&&(this.#setting.holding=!0)}async flush(){let{
now,warnMinutes,closures,claimFor}=this.#setting,waiting=this.#waiting;this.#waiting=[];let all=waiting.map(({instruction})=>({
instruction,claimedUntil:claimFor(instruction)}));for(let[i,answer2]of(await upsertEndings(this.#trx,all,now,warnMinutes,
closures)).entries()){if("obstacle"in answer2)throw new InProgressError("an ending is being carried out");let{note}=waiting[i];
note(answer2.ending,answer2.replaced?"replaced":"accepted");for(let ending of answer2.takenBack??[])note(ending,"cancell\
ed")}}async#withdraw(what,note){await this.flush();let rows=await withdraw(this.#trx,this.#setting.sender,what,this.#setting.
now);for(let ending of rows)note(ending,"cancelled");return rows[0]}async#lift({lift=[]},note){let{sender,closures}=this.#setting;
lift.length>0&&await this.flush();for(let choice of lift){let{endings}=await closures.lift({requestedBy:sender,...choice},
sender);for(let ending of endings)note(ending,"cancelled")}}async#close(closures,taken){let common={requestedBy:this.#setting.
sender,endingId:taken};await this.#setting.closures.close(closures.map(closure=>({...common,...closure})))}};async function withdraw(trx,sender,what,now){
let[column,value]="key"in what?["key",what.key]:["subject",what.subject],rows=await cancelling(trx,now).where("requested\
_by","=",sender).where(column,"=",value).returningAll().execute();if(await trx.selectFrom("endings").select("id").where(
"state","=",PENDING).where("requested_by","=",sender).where(column,"=",value).executeTakeFirst())throw new InProgressError(
"an ending is being carried out");return await noteCancelled(trx,rows,sender,now),rows}var NOTHING_YET={time:Number.MIN_SAFE_INTEGER,precedence:-1,timed:1,memory:"null",matters_until:0,...booking(void 0)};async function lockSubjects(trx,engine,sender,names){
let found=new Map,sorted=[...new Set(names)].sort();for await(let some of inPieces(sorted)){await trx.insertInto("subjec\
ts").values(some.map(subject=>({sender,subject,...NOTHING_YET}))).onConflict(conflict=>conflict.doNothing()).execute();let rows=await trx.
selectFrom("subjects").selectAll().where("sender","=",sender).where("subject","in",some).orderBy("subject").$if(engine===
"postgres",query=>query.forUpdate()).execute();for(let row of rows)found.set(row.subject,fromRow(row))}return found}async function saveSubjects(trx,sender,subjects){
for await(let some of inPieces([...subjects]))await trx.insertInto("subjects").values(some.map(([name2,subject])=>toRow(
sender,name2,subject))).onConflict(conflict=>conflict.columns(["sender","subject"]).doUpdateSet(eb=>({time:eb.ref("exclu\
ded.time"),precedence:eb.ref("excluded.precedence"),timed:eb.ref("excluded.timed"),memory:eb.ref("excluded.memory"),matters_until:eb.
ref("excluded.matters_until"),booked_kind:eb.ref("excluded.booked_kind"),booked_room:eb.ref("excluded.booked_room"),booked_from:eb.
ref("excluded.booked_from"),booked_until:eb.ref("excluded.booked_until")}))).execute()}function isNewer({time,precedence},known,now){
if(time===void 0&&!known.timed)return!0;let at=time??now;return at===known.time?precedence>=known.precedence:at>known.time}
function fromRow({time,precedence,timed,memory,matters_until,...row}){let booked=row.booked_kind===null?void 0:{room:targetOf(
row.booked_kind,row.booked_room),from:row.booked_from,until:row.booked_until};return{time,precedence,timed:timed===1,memory:JSON.
parse(memory),mattersUntil:matters_until,booked}}function booking(booked){if(!booked)return{booked_kind:null,booked_room:null,
booked_from:null,booked_until:null};let{target_kind,target_id}=targetColumns(booked.room);return{booked_kind:target_kind,
booked_room:target_id,booked_from:booked.from,booked_until:booked.until}}function toRow(sender,name2,subject){let{time,precedence,
timed,memory,mattersUntil,booked}=subject;return{sender,subject:name2,time,precedence,timed:timed?1:0,memory:JSON.stringify(
memory),matters_until:mattersUntil,...booking(booked)}}var EVENTS_A_TURN=10;async function applyEvents(trx,engine,sender,events,now,warnMinutes=[],claimFor=()=>null){let known=await remembered(
trx,sender,events),fresh=firstOfEach2(events).filter(event=>!known.has(nameOf4(event))),names=fresh.flatMap(({subject})=>subject??
[]),subjects=await lockSubjects(trx,engine,sender,names),bookings=new Bookings(trx,sender,subjects),closures=new Closures(
trx,now,closure=>bookings.has(closure)),holding=await hasHolds(trx,sender,now),changes2=new Changes(trx,{sender,now,warnMinutes,
holding,closures,claimFor}),results=await applyAll(changes2,fresh,bookings,now);return await saveSubjects(trx,sender,subjects),
await remember2(trx,sender,fresh,results,now),events.map(event=>resultOf(event,results,known))}var nameOf4=({source,id})=>`${source}\
 ${id}`;function firstOfEach2(events){let seen=new Map;for(let event of events)seen.has(nameOf4(event))||seen.set(nameOf4(
event),event);return[...seen.values()]}function resultOf(event,results,known){let own=results.get(event);return own||{status:"\
duplicate",endings:[...results].find(([other])=>nameOf4(other)===nameOf4(event))?.[1]?.endings??known.get(nameOf4(event))??
[],changed:[]}}async function remembered(trx,sender,events){let known=new Map,turns=new Turns(EVENTS_A_TURN);for(let[source,
of]of Map.groupBy(events,event=>event.source)){await turns.spend();for await(let some of inPieces([...new Set(of.map(({id})=>id))])){
let rows=await trx.selectFrom("events").select(["source","id","endings"]).where("sender","=",sender).where("source","=",
source).where("id","in",some).execute();for(let row of rows)known.set(nameOf4(row),JSON.parse(row.endings))}}return known}
async function remember2(trx,sender,fresh,results,now){let rows=[...fresh].sort((a,b)=>nameOf4(a)<nameOf4(b)?-1:1).map(event=>{
let{status,endings}=results.get(event),{source,id,type}=event;return{sender,source,id,type,status,endings:JSON.stringify(
endings),received_at:now}});for await(let some of inPieces(rows)){let{numInsertedOrUpdatedRows}=await trx.insertInto("ev\
ents").values(some).onConflict(conflict=>conflict.doNothing()).executeTakeFirst();if(Number(numInsertedOrUpdatedRows)<some.
length)throw new InProgressError("the same event is being taken in by another connection")}}async function applyAll(changes2,fresh,bookings,now){
let results=new Map,turns=new Turns(EVENTS_A_TURN);for(let event of fresh){await turns.spend();let change2=foldEvent(event,
bookings,now),result={status:change2?"accepted":"stale",endings:[],changed:[]};results.set(event,result),change2&&await changes2.
apply(change2,(ending,how)=>{result.endings.push(ending.id),result.changed.push({ending,how})})}return await changes2.flush(),
results}function foldEvent(event,bookings,now){let known=event.subject===void 0?void 0:bookings.subject(event.subject);if(event.
subject===void 0||!known)return event.decide(event.learn(void 0,!0));let newest=isNewer(event,known,now),memory=event.learn(
known.memory??void 0,newest),change2=event.decide(memory),isChange=newest||JSON.stringify(change2)!==JSON.stringify(event.
decide(known.memory)),mattersUntil=Math.max(now,event.mattersUntil(memory)),order=newest?{time:event.time??now,precedence:event.
precedence,timed:event.time!==void 0}:{time:known.time,precedence:known.precedence,timed:known.timed};return bookings.set(
event.subject,{...order,memory,mattersUntil,booked:event.booked(memory)}),isChange?change2:void 0}import{sql as sql23}from"kysely";var PRUNED_AT_ONCE=50,ENDINGS_AT_ONCE=15,PRUNING=[{step:pruneEndings,atOnce:ENDINGS_AT_ONCE},...[pruneKeys,pruneOld("eve\
nts","received_at"),pruneOld("subjects","matters_until"),pruneOld("sessions","seen_at"),pruneOld("holds","coalesce(lifte\
d_at, until_at)"),pruneOld("warned_rooms","warned_at")].map(step=>({step,atOnce:PRUNED_AT_ONCE}))];async function pruneEndings(trx,_engine,before,now){
let{numDeletedRows}=await trx.deleteFrom("endings").where("id","in",eb=>eb.selectFrom("endings").select("id").where("fin\
ished_at","is not",null).where("finished_at","<",before).where(({not,exists,selectFrom})=>not(exists(selectFrom("holds").
select("holds.id").whereRef("holds.ending_id","=","endings.id").where("holds.lifted_at","is",null).where(hold=>hold.or([
hold("until_at","is",null),hold("until_at",">",now)]))))).limit(ENDINGS_AT_ONCE)).executeTakeFirst();return numDeletedRows}
async function pruneKeys(trx,_engine,_before,now){let{numDeletedRows}=await trx.deleteFrom("idempotency_keys").where(({refTuple,
selectFrom,eb})=>eb(refTuple("caller","key"),"in",selectFrom("idempotency_keys").select(["caller","key"]).where("created\
_at","<=",now-REMEMBERED_MS).limit(PRUNED_AT_ONCE).$asTuple("caller","key"))).executeTakeFirst();return numDeletedRows}function pruneOld(table,time){
return async(trx,engine,before)=>{let row=sql23.raw(engine==="postgres"?"ctid":"rowid"),{numAffectedRows}=await sql23`delete from ${sql23.
table(table)} where ${row} in
      (select ${row} from ${sql23.table(table)} where ${sql23.raw(time)} < ${before} limit ${PRUNED_AT_ONCE})`.execute(trx);
return numAffectedRows??0n}}var WAIT_FOR_PROGRESS_MS=5e3,LOOK_AGAIN_MS=50,SOON_MS=2e3,CHANGED=new Error("something has changed"),CLAIMS={run:async(trx,all)=>{
let claimed=[];for(let{limit,now,until,options}of all)claimed.push(await claimEndings(trx,limit,now,until,options));return claimed},
isOneStatement:all=>all.length===1},Ledger=class{clock;warnMinutes;#db;#engine;#commits;#upserts;#starter;#events=new EventEmitter().
setMaxListeners(0);constructor({db,engine,clock,verify},{warnMinutes=[]}={}){this.warnMinutes=warnMinutes,this.#db=db,this.#engine=
engine,this.clock=clock,this.#commits=new GroupCommit(db,verify),this.#upserts=upserts(clock,warnMinutes)}startWith(starter){
this.#starter=starter}async store(instruction,request){return this.#inProgressWaited(instruction.requestedBy,this.#starter?
SOON_MS:0,async starts=>{let claimedUntil=starts.claimFor(instruction),upsert={instruction,claimedUntil},answer2=request?
await this.write((trx,now)=>withIdempotency(trx,request,now,async()=>first(await upsertEndings(trx,[upsert],now,this.warnMinutes)))):
await translated(this.#commits.add(this.#upserts,upsert));if("ending"in answer2&&!("replayed"in answer2)&&starts.begin(answer2.
ending),!("obstacle"in answer2&&answer2.obstacle==="in-progress"))return this.#announced(answer2)}).then(answer2=>answer2??
{obstacle:"in-progress"})}move(id,caller,to,request){return this.#change(request,(trx,now)=>moveEnding(trx,id,caller,to,
now),id)}cancel(id,caller,request){return this.#change(request,(trx,now)=>cancelEnding(trx,id,caller,now),id)}async retry(id,caller,request){
try{return await this.#change(request,(trx,now)=>retryEnding(trx,id,caller,now),id)}catch(error){if(isUniqueViolation(error))
return{obstacle:"key-taken"};throw error}}find(id){return translated(findEnding(this.#db,id))}attempts(id){return translated(
attemptsOf(this.#db,id))}changes(id){return translated(changesOf(this.#db,id))}page(filter,limit){return translated(pageOfEndings(
this.#db,filter,limit))}async list(filter,limit){return(await this.page(filter,limit)).endings}backlog(){return translated(
backlog(this.#db,this.clock.now()))}claim(limit,leaseMs,options={}){let now=this.clock.now();return translated(this.#commits.
add(CLAIMS,{limit,now,until:now+leaseMs,options}))}async hastenRetries(){let at=this.clock.now(),count=0;for(let isMore=!0;isMore;){
let{hastened,more}=await this.write(trx=>hastenRetries(trx,at));hastened>0&&this.#events.emit("work",at),count+=hastened,
isMore=more}return count}firstDue(){return translated(firstDue(this.#db,this.clock.now()))}nextAttemptAt(){return translated(
nextAttemptAt(this.#db))}async record(claimed,calls,transition){let ending=transition.to==="ended"&&transition.outcome===
"ended"?await translated(this.#commits.add(recordSuccesses,{claimed,calls,now:this.clock.now()})):await this.write((trx,now)=>recordAttempt(
trx,claimed,calls,transition,now),{order:claimed.id});return ending&&this.announce(ending),ending}async events(sender,events){
let isAlone=events.length===1;return await this.#inProgressWaited(sender,WAIT_FOR_PROGRESS_MS,async starts=>{let claimFor=isAlone?
one=>starts.claimFor(one):void 0,all=await this.write((trx,now)=>applyEvents(trx,this.#engine,sender,events,now,this.warnMinutes,
claimFor),{isLong:!isAlone}).catch(unlessInProgress);for(let{ending}of all?.flatMap(result=>result.changed)??[])starts.begin(
ending),this.announce(ending);return all})??{obstacle:"in-progress"}}async#inProgressWaited(party,mostMs,attempt){let until=this.
clock.now()+mostMs;for(;;){let starts=new Starts(this.#starter,this.clock),changed=!1,onChange=()=>{changed=!0};this.#events.
once(`changed:${party}`,onChange);try{let done=await attempt(starts);if(done!==void 0)return done}finally{starts.giveBack(),
this.#events.off(`changed:${party}`,onChange)}if(this.clock.now()>=until)return;changed||await this.#nextChange(party)}}async#nextChange(party){
let over=new AbortController,onChange=()=>over.abort(CHANGED);this.#events.once(`changed:${party}`,onChange),await this.
clock.sleep(LOOK_AGAIN_MS,over.signal),this.#events.off(`changed:${party}`,onChange)}async sessionSeenOver(session){let changed=await this.
write((trx,now)=>sessionSeenOver(trx,session.toLowerCase(),now));for(let ending of changed)this.announce(ending);return changed}nextConfirmation(){
return translated(nextConfirmation(this.#db))}claimConfirmation(leaseMs){return this.write((trx,now)=>claimConfirmation(
trx,now,now+leaseMs))}postponeConfirmation(id,at){return this.write(trx=>postponeConfirmation(trx,id,at))}async reopen(seen){
let ending=await this.write((trx,now)=>reopen(trx,seen,now));return ending&&this.announce(ending),ending}clearClaims(){return this.#engine===
"sqlite"?this.write(trx=>clearClaims(trx)):Promise.resolve(0)}control(){return translated(loadControl(this.#db))}setControl(control){
return this.write(trx=>setControl(trx,control))}endRefusal(){return this.write((trx,now)=>endRefusal(trx,now))}callsSince(since){
return translated(callsSince(this.#db,since))}async prune(before,rest=async()=>{}){let isMore=!1;for(let{step,atOnce}of PRUNING){
let began=performance.now(),removed=await this.write((trx,now)=>step(trx,this.#engine,before,now));isMore||=removed>=atOnce,
removed>0&&await rest(performance.now()-began)}return isMore}async probe(){await this.write((trx,now)=>trx.insertInto("i\
dempotency_keys").values({caller:"curfew",key:"probe",fingerprint:"",ending_id:"",created_at:now}).onConflict(conflict=>conflict.
columns(["caller","key"]).doUpdateSet({created_at:now})).execute())}onWork(listener){return this.#events.on("work",listener),
()=>void this.#events.off("work",listener)}onFinished(listener){this.#events.on("finished",listener)}finishedAmong(ids){
return translated(finishedAmong(this.#db,ids))}async#change(request,work,id=""){let once=(trx,now)=>withIdempotency(trx,
request,now,()=>work(trx,now));return this.#announced(await this.write(once,{order:id.toLowerCase()}))}#announced(answer2){
if("ending"in answer2)for(let ending of[answer2.ending,...answer2.takenBack??[]])this.announce(ending);return answer2}onWarning(listener){
return this.#events.on("warning",listener),()=>void this.#events.off("warning",listener)}onUnconfirmed(listener){return this.#events.
on("unconfirmed",listener),()=>void this.#events.off("unconfirmed",listener)}announce(ending){this.#events.emit(`changed\
:${ending.requested_by}`),ending.warn_at!==null&&this.#events.emit("warning",ending.warn_at),ending.confirm_at!==null&&this.#events.
emit("unconfirmed",ending.confirm_at),ending.state==="pending"?ending.claimed_until===null&&this.#events.emit("work",ending.
next_attempt_at):this.#events.emit("finished",ending)}write(work,options){return translated(this.#commits.run(trx=>work(
trx,this.clock.now()),options))}};function unlessInProgress(error){if(!(error instanceof InProgressError))throw error}function first([
answer2]){return answer2}export{Ledger,openDatabase};
