-- As in scripts/services.
insert into mysql.tidb values ('tikv_gc_safe_point', '20200101-00:00:00 +0000', '');
create user 'tls_user'@'%' identified by '' require x509;
grant all on *.* to 'tls_user'@'%';
create user 'caching_user'@'%' identified with caching_sha2_password by 'sha2-secret';
grant all on *.* to 'caching_user'@'%';
